//! `cargo xtask verifier`: what the kernel's verifier makes of the programs.

use anyhow::Result;

use crate::{build, paths, shell};

/// What to do with what was measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Make it the baseline
    #[arg(long)]
    save: bool,
}

/// Builds the programs and loads each.
///
/// # Errors
/// If they cannot be built or the kernel refuses one.
pub(crate) fn run(options: &Options) -> Result<()> {
    build::run(&build::Options { release: false })?;
    let mut verifier = shell::own(paths::binary("verifier"));
    verifier.arg(paths::ebpf_object()).arg(paths::workspace().join("docs/verifier.md"));
    shell::run(verifier.args(options.save.then_some("--save")))
}
