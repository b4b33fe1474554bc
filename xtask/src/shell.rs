//! Running other programs, and saying so.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Says what is being done now.
pub(crate) fn say(step: &str) {
    eprintln!("==> {step}");
}

/// A command that asks nobody anything.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A program of this project. An error's own words say enough, without a backtrace.
pub(crate) fn own(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    command.env("RUST_LIB_BACKTRACE", "0");
    command
}

/// What a verb hands on to the program behind it.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct HandedOn {
    /// The program's own options; `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// A cargo of another toolchain than the one that runs this program.
///
/// Cargo and rustup hand their own choices down through the environment; each of them would send
/// the other toolchain to the wrong compiler, flags or libraries.
pub(crate) fn foreign_cargo(cargo: impl AsRef<OsStr>) -> Command {
    const INHERITED: &[&str] = &[
        "CARGO",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_TARGET_DIR",
        "LD_LIBRARY_PATH",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ];
    let mut command = command(cargo);
    for name in INHERITED {
        command.env_remove(name);
    }
    command
}

/// Runs to the end with its output shown.
///
/// # Errors
/// If it cannot be started or fails; the message names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", shown(command)))?;
    if !status.success() {
        bail!("{}: {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed; `None` if it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// `cargo <verb>` of the toolchain that runs this program, in the workspace.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut command = cargo_itself();
    command.arg(verb).current_dir(crate::paths::workspace());
    command
}

/// The cargo of the toolchain that runs this program.
pub(crate) fn cargo_itself() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// In CI, a lock file that is not up to date is an error.
pub(crate) fn locked() -> Option<&'static str> {
    std::env::var_os("CI").map(|_| "--locked")
}
