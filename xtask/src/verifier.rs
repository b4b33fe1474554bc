//! `cargo xtask verifier`: what the kernel's verifier makes of the programs.

use anyhow::Result;

use crate::{build_ebpf, paths, shell};

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
    let object = build_ebpf::run()?;
    let mut cargo = shell::cargo("run");
    // An error's own words say enough.
    cargo.env("RUST_LIB_BACKTRACE", "0");
    cargo.args(["--quiet", "--package", "svclb-tests", "--bin", "verifier", "--"]);
    cargo.arg(object).arg(paths::workspace().join("docs/verifier.md"));
    if options.save {
        cargo.arg("--save");
    }
    shell::run(&mut cargo)
}
