//! The checks of the source: format, lints, documentation, dependencies.

use std::{path::Path, process::Command};

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
    Check { name: "documentation", run: doc },
    Check { name: "dependencies", run: deny },
    Check { name: "dependencies of the kernel programs", run: deny_ebpf },
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

/// Every link within the documentation leads somewhere.
fn doc(_: &Toolchain) -> Outcome {
    let mut cargo = shell::cargo("doc");
    cargo.args(["--workspace", "--no-deps", "--document-private-items"]).args(shell::locked());
    outcome(cargo.env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(_: &Toolchain) -> Outcome {
    deny_at(paths::workspace())
}

fn deny_ebpf(_: &Toolchain) -> Outcome {
    deny_at(&paths::ebpf_crate())
}

/// Licences, bans and sources. Advisories ask for a database from the network, and change without
/// a change here: `cargo deny check advisories` is for a schedule of its own.
fn deny_at(folder: &Path) -> Outcome {
    let program = match tools::deny() {
        Ok(program) => program,
        Err(why) => return Outcome::Skipped(format!("cargo-deny: {why:#}")),
    };
    let config = paths::workspace().join("deny.toml");
    let mut deny = shell::command(program);
    deny.current_dir(folder).args(["--workspace", "--all-features", "check", "--config"]);
    outcome(deny.arg(config).args(["licenses", "bans", "sources"]))
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
