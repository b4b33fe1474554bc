//! `cargo xtask build`: the kernel programs and the binary that embeds them.

use anyhow::Result;

use crate::{build_ebpf, shell};

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only `svclb`, optimised
    #[arg(long)]
    pub(crate) release: bool,
}

/// Builds everything into the workspace's target folder.
///
/// # Errors
/// If a part cannot be built, with the compiler's output above.
pub(crate) fn run(options: &Options) -> Result<()> {
    build_ebpf::run()?;
    shell::say("building svclb");
    let mut cargo = shell::cargo("build");
    cargo.args(shell::locked());
    if options.release {
        return shell::run(cargo.args(["--package", "svclb-userspace", "--release"]));
    }
    // The whole workspace, as clippy and the tests will: with fewer packages, cargo would choose
    // other features of their dependencies, and build those twice.
    shell::run(cargo.args(["--workspace", "--bins"]))
}
