//! The toolchain for the kernel programs: found, or completed until it is.
//!
//! [`facts`] looks at the machine, [`choice`] decides on what was seen (pure), and the rest does
//! what was decided. Each round either ends or changes the machine, so the loop is short.

mod apt;
mod choice;
mod facts;
mod linker;

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use choice::{Choice, choose};

pub(crate) use apt::Apt;
pub(crate) use choice::{Origin, Toolchain};

use crate::shell;

/// The target of the kernel programs.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The toolchain of this machine, after installing or building what is missing.
///
/// # Errors
/// If there is none and none can be made; the message says what to install.
pub(crate) fn find() -> Result<Toolchain> {
    let mut done = Vec::new();
    loop {
        let choice = choose(&facts::probe()?);
        if done.contains(&choice) {
            bail!("{choice} changed nothing: the toolchain is still incomplete");
        }
        match &choice {
            Choice::Use(toolchain) => return Ok(toolchain.clone()),
            Choice::Install(packages) => Apt::find()?.install(packages)?,
            Choice::BuildLinker(compiler, llvm) => linker::build(compiler, llvm)?,
            Choice::Nothing(why) => bail!("{why}"),
        }
        done.push(choice);
    }
}

impl Toolchain {
    /// `cargo <verb>` for the kernel programs, in their crate.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        self.prepared(&self.compiler.cargo, verb)
    }

    /// `cargo clippy` for the kernel programs, in their crate, where the toolchain has it.
    pub(crate) fn clippy(&self) -> Option<Command> {
        // By its path: cargo would take the first one in PATH, which may be another toolchain's.
        let clippy = self.compiler.cargo.with_file_name("cargo-clippy");
        clippy.exists().then(|| {
            let mut command = self.prepared(&clippy, "clippy");
            command.env("CARGO", &self.compiler.cargo);
            command
        })
    }

    fn prepared(&self, program: &Path, verb: &str) -> Command {
        let mut command = shell::foreign_cargo(program);
        command
            .arg(verb)
            .args(["--target", TARGET])
            .args(self.compiler.flags())
            .current_dir(crate::paths::ebpf_crate())
            .env("RUSTC", &self.compiler.rustc)
            // aya-ebpf uses an unstable feature; a nightly allows it anyway.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker)
            .env("CARGO_TARGET_DIR", crate::paths::ebpf_target());
        command
    }
}
