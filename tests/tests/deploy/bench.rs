//! The bench of the agent, small: it must go on measuring.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use svclb_tests::lab::binary;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[("the_agent_is_measured", agent)];

const OPTIONS: &[&str] =
    &["--services=20", "--endpoints=4", "--rate=20", "--seconds=2", "--pod-changes=40"];

fn agent() -> Result<()> {
    // It is built without optimisation here, so no figure is held against anything.
    let mut bench = Command::new(binary("bench", "SVCLB_BENCH", "svclb-tests")?);
    let output = bench.arg("agent").args(OPTIONS).output().context("the bench")?;
    let rows = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{rows}\n{errors}", output.status);
    for (row, part) in [
        ("machine", "Linux "),
        ("cluster", "20 services x 4 endpoints"),
        ("start", "ready with 20 services"),
        ("memory", "MiB resident"),
        ("idle", "% of a processor"),
        ("changes", "20 a second: "),
        ("  answer", "(40)"),
        ("  map", "(40)"),
        ("  agent", " ms"),
        ("pods", "from the controller"),
        ("restart", ", 0 entries changed"),
    ] {
        let found = rows.lines().any(|line| line.starts_with(row) && line.contains(part));
        ensure!(found, "no row `{row}` with `{part}` in\n{rows}");
    }
    Ok(())
}
