//! `cargo xtask bench`: what svclb takes and how fast it is, on this machine.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build_ebpf, control_plane, paths, setup, shell};

/// Which bench, and how much.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// The bench, and its own options; `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds svclb and the benches, optimised, and runs one.
///
/// # Errors
/// If something is missing or cannot be built, or the bench fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::prepare()?;
    control_plane::provide()?;
    build_ebpf::run()?;
    shell::say("building svclb and the benches");
    let mut cargo = shell::cargo("build");
    cargo.args(["--package", "svclb-userspace", "--bin", "svclb"]);
    cargo.args(["--package", "svclb-tests", "--bin", "bench", "--release"]);
    shell::run(cargo.args(shell::locked()))?;
    let mut bench = shell::command(paths::built("release", "bench"));
    // An error's own words say enough.
    bench.env("RUST_LIB_BACKTRACE", "0").args(&options.arguments);
    shell::run(&mut bench)
}
