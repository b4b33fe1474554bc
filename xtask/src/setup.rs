//! `cargo xtask setup`: everything that the other verbs need.

use anyhow::Result;

use crate::{shell::say, toolchain};

/// Finds or installs it all, and says what is used.
///
/// # Errors
/// If something is missing and cannot be installed; the message says what to do.
pub(crate) fn run() -> Result<()> {
    let toolchain = toolchain::find()?;
    say(&format!(
        "kernel programs: {} with {}",
        toolchain.compiler.rustc.display(),
        toolchain.linker.display()
    ));
    Ok(())
}
