//! `docs/conformance.md`, as it follows from the contract's rows and the scenarios.
//!
//! What it says was seen is what the scenarios promise: the harness fails where that is not so.

use std::fmt::Write as _;

use super::{
    contract::{Row, SECTIONS, Section},
    judge::Verdict,
    scenario::{Frontend, Scenario},
    scenarios,
};

const INTRODUCTION: &str = "\
# Conformance

What a service proxy must do, and what svclb and the real kube-proxy (nftables mode) do. Both are
driven by the same objects of a real control plane, one after the other, in the same network of two
nodes; clients ask over TCP and UDP, IPv4 and IPv6. svclb runs with `--echo all`, else as it is. `cargo xtask conformance` runs it, prints the
comparison and writes this page; the suite `conformance` runs the same as tests.

Each line with a client is a scenario: *near* is an endpoint on the node that is asked, *far* one on
another; *as the client* is what the endpoint saw as its peer; *elsewhere* answers what nobody has
touched. Lines without one are tests of other suites, by name, which need no peer.

| word | meaning |
|---|---|
| equal | Both do what the contract says. |
| beyond | svclb does what the contract says, kube-proxy something else. The reason is below. |
";

/// The page.
pub fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    SECTIONS.iter().for_each(|section| add_section(&mut page, section));
    page + &notes()
}

fn add_section(page: &mut String, section: &Section) {
    let Section { number, title, rows } = section;
    let _ = write!(page, "\n## {number}. {title}\n\n");
    page.push_str(
        "| row | test | client, frontend | svclb | kube-proxy | |\n|---|---|---|---|---|---|\n",
    );
    rows.iter().for_each(|row| add_row(page, row));
}

fn add_row(page: &mut String, row: &Row) {
    let mut lines: Vec<String> = scenarios::of(row).map(scenario).collect();
    lines.extend(row.tests.iter().map(|name| format!("`{name}` | | | | ")));
    if lines.is_empty() {
        lines.push("no test yet | | | | ".to_owned());
    }
    for (i, line) in lines.iter().enumerate() {
        let head = if i == 0 { format!("{} {}", row.id, row.text) } else { String::new() };
        let _ = writeln!(page, "| {head} | {line}|");
    }
}

fn scenario(scenario: &Scenario) -> String {
    let Scenario { name, from, to, expected, .. } = scenario;
    let to: Vec<&str> = to.iter().map(|frontend: &Frontend| frontend.name()).collect();
    format!(
        "`{name}` | {}, {} | {} | {} | {} ",
        from.name(),
        to.join(", "),
        expected.contract,
        expected.kube_proxy(),
        Verdict::promised(scenario).name()
    )
}

/// Why svclb is beyond.
fn notes() -> String {
    let mut text = "\n## Beyond\n\nWhy kube-proxy is not followed:\n\n".to_owned();
    for (why, names) in beyond() {
        let _ = writeln!(text, "- {why}: {}", names.join(", "));
    }
    text
}

/// Scenarios by why svclb is beyond, in the order of the first of each.
fn beyond() -> Vec<(&'static str, Vec<String>)> {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for scenario in scenarios::all() {
        let Some((_seen, why)) = scenario.expected.beyond else { continue };
        let name = format!("{} `{}`", scenario.row, scenario.name);
        match groups.iter_mut().find(|(other, _)| *other == why) {
            Some((_, names)) => names.push(name),
            None => groups.push((why, vec![name])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/conformance.md");

    #[test]
    fn the_page_is_what_the_scenarios_say() {
        assert!(
            PAGE == render(),
            "docs/conformance.md is old: `cargo xtask conformance` writes it"
        );
    }
}
