//! Manifests that are wrong or large: reported or digested, and the rest keeps working.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::{Result, ensure};
use serde_json::Value;
use svclb_tests::lab::{Dual, Family, Node, SOON, manifests::slice, wait_for};

use crate::{
    client::Source,
    scenario::Scenario,
    services::{FAR, NEAR},
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::once("wrong_manifests_are_reported", wrong_manifests),
    Scenario::once("a_thousand_endpoints", a_thousand_endpoints),
];

/// A wrong document: what the report must name besides the file.
const WRONG: [(&str, &str, &[&str]); 4] = [
    ("wrong-syntax", "kind: Service\nmetadata: {name: [x\n", &[]),
    (
        "wrong-address",
        "apiVersion: v1\nkind: Service\nmetadata: {name: odd}\n\
         spec: {clusterIP: 10.96.0.999, ports: [{port: 80}]}\n",
        &["odd", "clusterIP"],
    ),
    (
        "wrong-port",
        "apiVersion: v1\nkind: Service\nmetadata: {name: odd-port}\n\
         spec: {clusterIP: 10.96.0.90, ports: [{port: 65536}]}\n",
        &["odd-port", "port"],
    ),
    (
        "wrong-endpoint",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {name: odd-slice, labels: {kubernetes.io/service-name: near}}\n\
         addressType: IPv4\nendpoints: [{addresses: [10.244.1.999]}]\n\
         ports: [{name: http, port: 8080}]\n",
        &["odd-slice", "addresses"],
    ),
];

fn wrong_manifests(world: &mut World) -> Result<()> {
    for (name, document, named) in WRONG {
        world.manifests.write(name, document)?;
        let file = format!("{name}.yaml");
        let reported = || {
            let log = world.lab.node(1).agent_log(2_000);
            let says =
                |line: &&str| line.contains(&file) && named.iter().all(|word| line.contains(word));
            log.lines().find(says).map(str::to_owned)
        };
        wait_for(&format!("a report of {file} that names {named:?}"), SOON, reported)?;
    }
    // No ports at all is a Service that has nothing to balance.
    world.manifests.write(
        "no-ports",
        "apiVersion: v1\nkind: Service\nmetadata: {name: no-ports}\nspec: {clusterIP: 10.96.0.91}\n",
    )?;
    still_works(world)?;
    WRONG.iter().try_for_each(|(name, ..)| world.manifests.remove(name))?;
    world.manifests.remove("no-ports")
}

/// One slice is full at 1,000; the second repeats its addresses, which count once.
fn a_thousand_endpoints(world: &mut World) -> Result<()> {
    let addresses: Vec<_> = (0..1_000_u32)
        .map(|i| Dual {
            v4: Ipv4Addr::from_bits(0x0aff_0000 + i),
            v6: "fd00:10:255::".parse().unwrap_or(std::net::Ipv6Addr::UNSPECIFIED),
        })
        .map(|ip| (ip, "node9"))
        .collect();
    let mut text = String::from(
        "apiVersion: v1\nkind: Service\nmetadata: {name: crowd}\n\
         spec: {clusterIP: 10.96.0.92, ports: [{name: http, port: 80}]}\n",
    );
    for suffix in ["a", "b"] {
        let slice = slice("crowd", Family::V4, &addresses, &[("http", "TCP", PORT)]);
        let _ = write!(text, "---\n{}", slice.replace("crowd-ipv4", &format!("crowd-{suffix}")));
    }
    world.manifests.write("crowd", &text)?;
    wait_for_backends(world.lab.node(1), "crowd", 1_000)?;
    still_works(world)?;
    world.manifests.remove("crowd")?;
    wait_for_backends(world.lab.node(1), "crowd", 0)
}

fn wait_for_backends(node: &Node, service: &str, count: usize) -> Result<()> {
    wait_for(&format!("{count} serving backends of {service}"), SOON, || {
        let text = node.svclb(&["get", "backends", service, "-o", "json"]).ok()?;
        let found: Value = serde_json::from_str(&text).ok()?;
        let serving = found.as_array()?.iter().filter(|backend| backend["serving"] == true);
        (serving.count() == count).then_some(())
    })
}

fn still_works(world: &mut World) -> Result<()> {
    world.agents.iter_mut().try_for_each(svclb_tests::lab::Agent::must_run)?;
    ensure!(world.agents.len() == world.lab.nodes.len(), "an agent is missing");
    for family in Family::BOTH {
        let asker = world.asker("web-2")?;
        asker.asks(NEAR.cluster(family), NEAR.endpoints, Source::Kept)?;
        asker.asks(FAR.cluster(family), FAR.endpoints, Source::Kept)?;
    }
    Ok(())
}
