//! `cargo xtask soak`: traffic for long, while endpoints come and go.

use anyhow::Result;

use crate::{build, paths, setup, shell};

/// Builds svclb and the soak, runs it and writes docs/soak.md if nothing is wrong. With options of
/// its own, it writes only where they say.
///
/// # Errors
/// If something is missing or cannot be built, or anything is wrong.
pub(crate) fn run(options: &shell::HandedOn) -> Result<()> {
    setup::prepare()?;
    build::run(&build::Options { release: false })?;
    let mut soak = shell::own(paths::binary("soak"));
    if options.arguments.is_empty() {
        soak.arg("--write").arg(paths::workspace().join("docs/soak.md"));
    }
    shell::run(soak.args(&options.arguments))
}
