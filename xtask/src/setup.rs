//! `cargo xtask setup`: everything that the other verbs need.

use anyhow::Result;

use crate::{
    control_plane,
    shell::say,
    toolchain::{self, Toolchain},
    tools,
};

/// Finds or installs it all, and says what is used.
///
/// # Errors
/// If something is missing and cannot be installed; the message says what to do.
pub(crate) fn run() -> Result<()> {
    let toolchain = prepare()?;
    tools::lints(&toolchain)?;
    if let Err(why) = control_plane::provide() {
        say(&format!("tests with a real control plane will be skipped: {why:#}"));
    }
    if let Err(why) = tools::containers() {
        say(&format!("tests with containers will be skipped: {why:#}"));
    }
    Ok(())
}

/// Finds or installs what building and running needs, and says what is used.
///
/// # Errors
/// If something is missing and cannot be installed; the message says what to do.
pub(crate) fn prepare() -> Result<Toolchain> {
    let toolchain = toolchain::find()?;
    say(&format!(
        "toolchain of the kernel programs: {} with {}",
        toolchain.compiler.rustc.display(),
        toolchain.linker.display()
    ));
    tools::lab()?;
    Ok(toolchain)
}
