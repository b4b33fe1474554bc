//! `cargo xtask differential`: the kernel programs against the model, for long.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build, paths, shell};

/// How long, and from which seed.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// The run's own options; `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds the programs and runs them beside the model.
///
/// # Errors
/// If they cannot be built, or both differ.
pub(crate) fn run(options: &Options) -> Result<()> {
    build::run(&build::Options { release: false })?;
    let mut differential = shell::command(paths::binary("differential"));
    // An error's own words say enough.
    differential.env("RUST_LIB_BACKTRACE", "0");
    shell::run(differential.args(&options.arguments))
}
