//! `cargo xtask demo`: svclb in a cluster's network on this machine.

use anyhow::Result;

use crate::{build, paths, setup, shell};

/// How to show it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave everything up to play with, and say how to enter it
    #[arg(long)]
    keep: bool,
    /// Take away what --keep has left
    #[arg(long, conflicts_with = "keep")]
    remove: bool,
}

/// Sets up, builds and shows it.
///
/// # Errors
/// If something cannot be built, or the demonstration fails, a failed request included.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::prepare()?;
    build::run(&build::Options { release: false })?;
    let mut demo = shell::own(paths::binary("demo"));
    demo.arg(paths::workspace().join("examples"));
    demo.args(options.keep.then_some("--keep")).args(options.remove.then_some("--remove"));
    shell::run(&mut demo)
}
