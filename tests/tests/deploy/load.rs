//! The load generator, as people use it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use svclb_tests::lab::{Family, Lab, Netns, Preset, address, binary};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("every_protocol_tells_who_answered", protocols),
    ("failures_are_counted_and_told_by_the_exit_code", failures),
];

const PORT: u16 = 8080;

fn protocols() -> Result<()> {
    let mut lab = Lab::new(&Preset { nodes: 1, ..Preset::ROUTED })?;
    lab.node_mut(1).add_pod("web-1", &[PORT])?;
    let to = address::pod(1, 1).socket(Family::V4, PORT);
    let targets: [(String, &[&str]); 3] = [
        (format!("http://{to}/"), &["--backend", "json:name"]),
        (format!("udp://{to}"), &[]),
        (format!("tcp://{to}"), &["--payload", "GET / HTTP/1.1\r\nhost: lab\r\n\r\n"]),
    ];
    for (target, options) in targets {
        let (status, report) = load(lab.node(1).netns(), &target, options)?;
        ensure!(status == 0 && report["answered"] == 40, "{target}: {report}");
        let name = if target.starts_with("tcp") { "HTTP/1.1 200 OK" } else { "web-1" };
        ensure!(report["by_pod"][name] == 20, "{target}: {report}");
        ensure!(report["latency"]["p99_us"].as_u64() > Some(0), "{target}: {report}");
    }
    Ok(())
}

fn failures() -> Result<()> {
    let lab = Lab::new(&Preset { nodes: 1, ..Preset::ROUTED })?;
    let nobody = format!("tcp://{}", address::node(1).socket(Family::V6, PORT));
    let (status, report) = load(lab.external().netns(), &nobody, &[])?;
    let refused = report["errors"].as_object().context("no errors")?;
    ensure!(status == 1 && report["answered"] == 0, "{report}");
    ensure!(refused.values().filter_map(Value::as_u64).sum::<u64>() == 20, "{report}");
    Ok(())
}

/// Twenty connections with two requests each: the exit code and the report.
fn load(client: &Netns, target: &str, options: &[&str]) -> Result<(i32, Value)> {
    let program = binary("load", "SVCLB_LOAD", "svclb-tests")?;
    let mut load = Command::new(program);
    load.args([target, "-n", "20", "-r", "2", "-o", "json"]).args(options);
    let output = client.run(|| load.output().context("the load generator"))?;
    let report = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output.status.code().context("ended by a signal")?, report))
}
