//! `cargo xtask bench`: what svclb takes and how fast it is, on this machine.

use anyhow::Result;

use crate::{build_ebpf, control_plane, paths, setup, shell};

/// Builds svclb and the benches, optimised, and runs one.
///
/// # Errors
/// If something is missing or cannot be built, or the bench fails.
pub(crate) fn run(options: &shell::HandedOn) -> Result<()> {
    setup::prepare()?;
    control_plane::provide()?;
    build_ebpf::run()?;
    shell::say("building svclb and the benches");
    let mut cargo = shell::cargo("build");
    cargo.args(["--package", "svclb-userspace", "--bin", "svclb"]);
    cargo.args(["--package", "svclb-tests", "--bin", "bench", "--release"]);
    shell::run(cargo.args(shell::locked()))?;
    shell::run(shell::own(paths::built("release", "bench")).args(&options.arguments))
}
