//! `cargo xtask load`: the lab's traffic generator, for any cluster.

use anyhow::Result;

use crate::{build_ebpf, paths, shell};

/// Builds the generator, optimised, and runs it.
///
/// # Errors
/// If it cannot be built, or a request fails.
pub(crate) fn run(options: &shell::HandedOn) -> Result<()> {
    // The programs of the lab come with the agent's library, which embeds the object file.
    build_ebpf::run()?;
    shell::say("building the load generator");
    let mut cargo = shell::cargo("build");
    cargo.args(["--package", "svclb-tests", "--bin", "load", "--release"]);
    shell::run(cargo.args(shell::locked()))?;
    shell::run(shell::own(paths::built("release", "load")).args(&options.arguments))
}
