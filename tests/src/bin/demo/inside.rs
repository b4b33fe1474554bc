//! What the kernel holds, as `svclb` and `bpftool` show it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{screen::Screen, stage::Stage};

/// Where the columns end that say who got what share.
const COLUMNS: usize = 104;

/// The entries of maps that the demo shows: the map, and what its entry contains.
const ENTRIES: [(&str, &str); 3] = [
    ("frontends4", "[10,96,0,20 ]"),
    ("names", "\"name\": \"shop\""),
    ("backends4", "[10,244,1,1 ]"),
];

/// Prints each backend's share from the kernel's counters, and entries of the maps.
///
/// # Errors
/// `svclb get` or `bpftool` fails.
pub(crate) fn show(screen: &Screen, stage: &Stage) -> Result<()> {
    let node = stage.lab.node(1);
    screen.heading("The same from the kernel's counters, read without the agent");
    let backends = node.svclb(&["get", "backends"])?;
    screen.command(
        &format!("svclb get backends | grep -v ' 0.0%' | cut -c -{COLUMNS}"),
        &used(&backends),
    );

    screen.heading("The maps explain themselves");
    let maps = node.bpffs().join("svclb").join(svclb_common::layout::VERSION).join("maps");
    for (map, contained) in ENTRIES {
        let entry = entry(&maps.join(map), contained)?;
        screen.command(&format!("bpftool map dump name {map}     (one entry)"), &entry);
    }
    Ok(())
}

fn used(table: &str) -> String {
    let rows = table.lines().filter(|row| !row.contains(" 0.0%"));
    let cut = rows.map(|row| row.chars().take(COLUMNS).collect::<String>());
    cut.map(|row| row.trim_end().to_owned() + "\n").collect()
}

/// The first entry of a pinned map, in bpftool's words, that contains a text.
fn entry(pin: &Path, contained: &str) -> Result<String> {
    let mut bpftool = Command::new("bpftool");
    let output = bpftool.args(["map", "dump", "pinned"]).arg(pin).output();
    let output = output.context("bpftool: cannot be run")?;
    ensure!(output.status.success(), "bpftool: {}", String::from_utf8_lossy(&output.stderr));
    let dump = String::from_utf8_lossy(&output.stdout);
    let mut entries = dump.split("\n    },{").map(on_one_line);
    entries.find(|entry| entry.contains(contained)).with_context(|| format!("no {contained}"))
}

fn on_one_line(entry: &str) -> String {
    let text = entry.trim_start_matches("[{").trim_end().trim_end_matches("}\n]");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
