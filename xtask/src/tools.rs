//! Programs that the tests and the demo run, and the checks of the source.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{
    cache, shell,
    toolchain::{Apt, Origin, Toolchain},
};

/// A program, and where it comes from.
struct Tool {
    /// Name or path.
    program: &'static str,
    /// Debian's package.
    package: &'static str,
    /// What it is for.
    purpose: &'static str,
}

/// What the network lab runs.
const LAB: &[Tool] = &[
    Tool { program: "ip", package: "iproute2", purpose: "devices and routes of the lab" },
    Tool { program: "nft", package: "nftables", purpose: "rules of the lab's hostile nodes" },
    Tool { program: "bpftool", package: "bpftool", purpose: "showing the maps" },
];

/// What runs the image in the tests.
const CONTAINERS: &[Tool] = &[
    Tool { program: "containerd", package: "containerd", purpose: "running the image" },
    Tool { program: "runc", package: "runc", purpose: "running the image" },
];

/// What boots other kernels.
const EMULATOR: &[Tool] = &[
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", purpose: "booting kernels" },
    Tool { program: "/sbin/depmod", package: "kmod", purpose: "an index of their modules" },
];

/// What the checks of the source run where the compiler is Debian's.
const LINTS: &[Tool] = &[
    Tool { program: "/usr/bin/cargo-clippy", package: "rust-web-clippy", purpose: "clippy" },
    Tool { program: "cargo-fmt", package: "rustfmt-web", purpose: "cargo fmt" },
];

impl Tool {
    fn is_missing(&self) -> bool {
        if self.program.starts_with('/') {
            !Path::new(self.program).exists()
        } else {
            which::which(self.program).is_err()
        }
    }
}

/// Installs what the lab lacks.
///
/// # Errors
/// If something is missing that cannot be installed; the message names it.
pub(crate) fn lab() -> Result<()> {
    all(LAB)
}

/// Installs what runs containers.
///
/// # Errors
/// As [`lab`].
pub(crate) fn containers() -> Result<()> {
    all(CONTAINERS)
}

/// Installs what boots other kernels.
///
/// # Errors
/// As [`lab`].
pub(crate) fn emulator() -> Result<()> {
    all(EMULATOR)
}

fn all(tools: &'static [Tool]) -> Result<()> {
    let missing = complete(tools)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = missing
        .iter()
        .map(|tool| format!("\n  {} ({}; Debian: {})", tool.program, tool.purpose, tool.package))
        .collect();
    bail!(
        "these programs are missing; install them, or run this as root on Debian:{}",
        list.concat()
    )
}

/// Installs clippy and rustfmt where they are packages of Debian; a check whose program is still
/// missing afterwards is skipped by name.
///
/// # Errors
/// If apt-get fails.
pub(crate) fn lints(toolchain: &Toolchain) -> Result<()> {
    if toolchain.compiler.origin == Origin::System {
        complete(LINTS)?;
    }
    Ok(())
}

/// The program `cargo-deny`: the user's own, else one in the cache, built if need be.
///
/// # Errors
/// If it is not there and cannot be built.
pub(crate) fn deny() -> Result<PathBuf> {
    if let Ok(own) = which::which("cargo-deny") {
        return Ok(own);
    }
    let tool = cache::Tool {
        name: "cargo-deny",
        version: "0.19.0",
        form: String::new(),
        // It runs for a second, and takes three times as long to build optimised.
        options: vec!["--debug".into()],
    };
    tool.build(&mut shell::cargo_itself())?;
    tool.path()
}

/// Installs what is missing, where that is possible, and returns what still is.
fn complete(tools: &'static [Tool]) -> Result<Vec<&'static Tool>> {
    let missing = || tools.iter().filter(|tool| tool.is_missing());
    let packages: Vec<_> = missing().map(|tool| tool.package.to_owned()).collect();
    if !packages.is_empty()
        && let Ok(apt) = Apt::find()
    {
        apt.install(&packages)?;
    }
    Ok(missing().collect())
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    shell::output(shell::cargo(subcommand).arg("--version")).is_some()
}
