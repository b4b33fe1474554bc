//! `cargo xtask differential`: the kernel programs against the model, for long.

use anyhow::Result;

use crate::{build, paths, shell};

/// Builds the programs and runs them beside the model.
///
/// # Errors
/// If they cannot be built, or both differ.
pub(crate) fn run(options: &shell::HandedOn) -> Result<()> {
    build::run(&build::Options { release: false })?;
    shell::run(shell::own(paths::binary("differential")).args(&options.arguments))
}
