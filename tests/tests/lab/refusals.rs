//! What nobody serves: refused at once where nobody ever will, silent where somebody may.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Netns, SOON, wait_for},
    traffic::ping::ping,
};

use crate::{
    expect::{drops, hangs, host_hangs, host_refuses, refuses},
    scenario::Scenario,
    services::{EMPTY, NEAR},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("no_endpoint_is_refused", no_endpoint),
    Scenario::per_family("unused_port_of_a_cluster_ip_is_refused", unused_port),
    Scenario::per_family("unallocated_cluster_ip_is_dropped", unallocated).few(),
    Scenario::per_family("cluster_ip_answers_ping", answers_ping),
];

/// A port that no Service has.
const UNUSED: u16 = 4711;

fn no_endpoint(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1);
    let (near, far) = (EMPTY.at(node, family), EMPTY.at(world.lab.node(2), family));
    let pod = world.asker("web-1")?.netns;
    drops(node, "no_endpoint", || refuses(pod, EMPTY.cluster(family))).context("pod")?;
    for client in world.outsiders() {
        drops(node, "no_endpoint", || refuses(client.netns, near))
            .context(client.name.to_owned())?;
    }
    refuses(pod, far).context("pod, through another node")?;
    // (The kernel tells only sockets that are connected.)
    refuses(node.netns(), far).context("host, through another node")
}

fn unused_port(world: &mut World, family: Family) -> Result<()> {
    let (node, mut dst) = (world.lab.node(1), NEAR.cluster(family));
    dst.set_port(UNUSED);
    let pod = world.asker("web-2")?.netns;
    drops(node, "unused_port", || refuses(pod, dst)).context("pod")?;
    drops(node, "socket_refused", || host_refuses(node, dst)).context("host")
}

fn unallocated(world: &mut World, family: Family) -> Result<()> {
    const FILE: &str = "service-cidrs.yaml";
    let cidrs = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: lab}\n\
                 spec: {cidrs: [10.96.0.0/16, \"fd00:10:96::/112\"]}\n";
    world.manifests.write(FILE, cidrs)?;
    let silent = silent(world, family);
    world.manifests.remove(FILE)?;
    silent
}

fn silent(world: &World, family: Family) -> Result<()> {
    let (node, mut dst) = (world.lab.node(1), NEAR.cluster(family));
    dst.set_ip(match family {
        Family::V4 => "10.96.255.254".parse()?,
        Family::V6 => "fd00:10:96::fffe".parse()?,
    });
    let pod = world.asker("web-2")?.netns;
    let dropped = || drops(node, "unallocated", || hangs(pod, dst)).ok();
    wait_for("the range of ClusterIPs to be known", SOON, dropped)?;
    drops(node, "unallocated", || host_hangs(node, dst)).context("host")?;
    world.asker("web-2")?.asks(NEAR.cluster(family), NEAR.endpoints, crate::client::Source::Kept)
}

fn answers_ping(world: &mut World, family: Family) -> Result<()> {
    let (node, vip) = (world.lab.node(1), NEAR.cluster(family).ip());
    let before = node.outcome("echo_answered")?;
    let places: [(&str, &Netns); 2] =
        [("pod", world.asker("web-2")?.netns), ("host", node.netns())];
    for (who, netns) in places {
        for payload in [0, 56, 1_000] {
            netns.run(|| ping(vip, payload, Duration::from_secs(5))).context(who)?;
        }
    }
    let answered = node.outcome("echo_answered")? - before;
    ensure!(answered == 6, "{answered} of 6 pings answered by svclb");
    Ok(())
}
