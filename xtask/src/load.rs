//! `cargo xtask load`: the lab's traffic generator, for any cluster.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build_ebpf, paths, shell};

/// What the generator is told.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Whom to ask, and how much; `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds the generator, optimised, and runs it.
///
/// # Errors
/// If it cannot be built, or a request fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    // The programs of the lab come with the agent's library, which embeds the object file.
    build_ebpf::run()?;
    shell::say("building the load generator");
    let mut cargo = shell::cargo("build");
    cargo.args(["--package", "svclb-tests", "--bin", "load", "--release"]);
    shell::run(cargo.args(shell::locked()))?;
    let mut load = shell::command(paths::built("release", "load"));
    // An error's own words say enough.
    load.env("RUST_LIB_BACKTRACE", "0").args(&options.arguments);
    shell::run(&mut load)
}
