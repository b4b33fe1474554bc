//! The checks of the source: format, lints, dependencies.

use std::process::Command;

use super::tally::Outcome;
use crate::{paths, shell, toolchain::Toolchain, tools};

/// A check, and how to make it.
pub(super) struct Check {
    /// The name in the closing account.
    pub(super) name: &'static str,
    /// Makes it.
    pub(super) run: fn(&Toolchain) -> Outcome,
}

/// All checks, the quick ones first.
pub(super) const ALL: &[Check] = &[
    Check { name: "format", run: format },
    Check { name: "format of the kernel programs", run: format_ebpf },
    Check { name: "clippy", run: clippy },
    Check { name: "clippy of the kernel programs", run: clippy_ebpf },
    Check { name: "licences and sources of dependencies", run: deny },
];

fn format(_: &Toolchain) -> Outcome {
    with("fmt", shell::cargo("fmt").args(["--all", "--check"]))
}

fn format_ebpf(_: &Toolchain) -> Outcome {
    with("fmt", shell::cargo("fmt").arg("--check").current_dir(paths::ebpf_crate()))
}

fn clippy(_: &Toolchain) -> Outcome {
    let mut cargo = shell::cargo("clippy");
    cargo.args(["--workspace", "--all-targets"]).args(shell::locked());
    with("clippy", cargo.args(["--", "-D", "warnings"]))
}

fn clippy_ebpf(toolchain: &Toolchain) -> Outcome {
    let Some(mut clippy) = toolchain.clippy() else {
        return Outcome::Skipped(format!(
            "{} comes without clippy",
            toolchain.compiler.cargo.display()
        ));
    };
    clippy.arg("--release").args(shell::locked());
    outcome(clippy.args(["--", "-D", "warnings"]))
}

fn deny(_: &Toolchain) -> Outcome {
    with("deny", shell::cargo("deny").args(["check", "licenses", "bans", "sources"]))
}

fn with(subcommand: &str, command: &mut Command) -> Outcome {
    if !tools::cargo_has(subcommand) {
        return Outcome::Skipped(format!("cargo-{subcommand} is not installed"));
    }
    outcome(command)
}

fn outcome(command: &mut Command) -> Outcome {
    match shell::run(command) {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            eprintln!("{error:#}");
            Outcome::Failed
        }
    }
}
