//! `cargo xtask test`: everything that must hold before a change lands.

mod checks;
mod tally;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
pub(crate) use tally::Summary;
use tally::{Outcome, Tally};

use crate::{build, control_plane, setup, shell, toolchain::Toolchain, tools};

/// Sets up, builds, checks the source, runs all tests and says how many passed.
///
/// # Errors
/// If the machine cannot be set up, a build fails, or any check or test did not pass. In CI a
/// skipped check counts as failed.
pub(crate) fn run() -> Result<()> {
    let toolchain = prepare()?;
    let mut tally = Tally::default();
    check(&toolchain, &mut tally);
    tally.check("control plane for the tests", provided(control_plane::provide()));
    tally.check("containers for the tests", provided(tools::containers()));
    shell::say("tests");
    let tests = tests(&mut tally)?;
    tally.check("cargo test", tests);
    conclude(&tally)
}

/// The part of [`run`] that reads the source and runs nothing.
///
/// # Errors
/// As [`run`].
pub(crate) fn lint() -> Result<()> {
    let toolchain = prepare()?;
    let mut tally = Tally::default();
    check(&toolchain, &mut tally);
    conclude(&tally)
}

fn prepare() -> Result<Toolchain> {
    let toolchain = setup::prepare()?;
    tools::lints(&toolchain)?;
    // The lints read the object file too: `svclb-userspace` embeds it.
    build::run(&build::Options { release: false })?;
    Ok(toolchain)
}

/// Without it, the tests that need it are skipped too.
fn provided(outcome: Result<()>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Skipped(format!("{why:#}")),
    }
}

fn check(toolchain: &Toolchain, tally: &mut Tally) {
    for check in checks::ALL {
        shell::say(check.name);
        tally.check(check.name, (check.run)(toolchain));
    }
}

fn conclude(tally: &Tally) -> Result<()> {
    println!("\n{tally}");
    if tally.is_good(env::var_os("CI").is_some()) { Ok(()) } else { bail!("not all passed") }
}

/// Runs the tests, showing what they print.
fn tests(tally: &mut Tally) -> Result<Outcome> {
    let mut cargo = shell::cargo("test");
    cargo.args(["--workspace", "--no-fail-fast"]).args(shell::locked()).stdout(Stdio::piped());
    let mut running = cargo.spawn().context("starting cargo test")?;
    let output = running.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("reading from cargo test")?;
        println!("{line}");
        tally.line(&line);
    }
    let status = running.wait().context("waiting for cargo test")?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}
