//! Who reaches what: pods and clients, ClusterIPs and NodePorts, near and far endpoints.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, PodLink, address},
    traffic::{
        block_on,
        http::{self, Connection},
        udp,
    },
};

use crate::{
    client::{
        Asker,
        Source::{Kept, Masqueraded},
    },
    scenario::Scenario,
    services::{FAR, HOST, NEAR, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("pod_reaches_near_endpoint", pod_to_near),
    Scenario::per_family("pod_reaches_far_endpoint", pod_to_far),
    Scenario::per_family("pod_reaches_itself", hairpin),
    Scenario::per_family("pod_reaches_host_process", pod_to_host_process),
    Scenario::per_family("pod_reaches_node_port", pod_to_node_port),
    Scenario::per_family("client_reaches_near_endpoint", client_to_near),
    Scenario::per_family("client_reaches_far_endpoint", client_to_far),
    Scenario::per_family("client_reaches_host_process", client_to_host_process),
    Scenario::per_family("large_bodies_arrive_whole", large_bodies),
    Scenario::per_family("datagrams_up_to_the_mtu", datagrams_up_to_the_mtu),
];

fn pod_to_near(world: &mut World, family: Family) -> Result<()> {
    world.asker("web-2")?.asks(NEAR.cluster(family), NEAR.endpoints, Kept)?;
    world.asker("web-4")?.asks(FAR.cluster(family), FAR.endpoints, Kept)
}

fn pod_to_far(world: &mut World, family: Family) -> Result<()> {
    world.asker("web-1")?.asks(FAR.cluster(family), FAR.endpoints, Kept)?;
    world.asker("web-4")?.asks(NEAR.cluster(family), NEAR.endpoints, Kept)
}

/// A pod would answer itself directly if it saw its own address.
fn hairpin(world: &mut World, family: Family) -> Result<()> {
    world.asker("web-1")?.asks(NEAR.cluster(family), NEAR.endpoints, Masqueraded)?;
    world.asker("web-3")?.asks(FAR.cluster(family), FAR.endpoints, Masqueraded)
}

fn pod_to_host_process(world: &mut World, family: Family) -> Result<()> {
    let source = |same_node: bool| {
        // Flannel's rules give a pod the node's address towards anything but pods.
        if world.lab.preset.hostile.is_some() && !same_node { Masqueraded } else { Kept }
    };
    world.asker("web-1")?.asks(HOST.cluster(family), HOST.endpoints, source(false))?;
    world.asker("web-4")?.asks(HOST.cluster(family), HOST.endpoints, source(true))
}

/// A NodePort is at every address of the node: also at the gateway that bridged pods see.
fn pod_to_node_port(world: &mut World, family: Family) -> Result<()> {
    let (asker, node) = (world.asker("web-2")?, world.lab.node(1));
    let mut targets = vec![WEB.at(node, family), WEB.at(world.lab.node(2), family)];
    if world.lab.preset.pods == PodLink::Bridged {
        let gateway = address::pod_gateway(node.number);
        targets.push(gateway.socket(family, targets[0].port()));
    }
    for dst in targets {
        let answered = asker.netns.run(|| Ok([http::who(dst)?.name, udp::who(dst)?]))?;
        for name in answered {
            ensure!(WEB.endpoints.contains(&&*name), "{name} answered at {dst}");
        }
    }
    Ok(())
}

fn client_to_near(world: &mut World, family: Family) -> Result<()> {
    for client in world.outsiders() {
        client.asks(NEAR.at(world.lab.node(1), family), NEAR.endpoints, Kept)?;
        client.asks(FAR.at(world.lab.node(2), family), FAR.endpoints, Kept)?;
    }
    Ok(())
}

fn client_to_far(world: &mut World, family: Family) -> Result<()> {
    for client in world.outsiders() {
        client.asks(FAR.at(world.lab.node(1), family), FAR.endpoints, Masqueraded)?;
        client.asks(NEAR.at(world.lab.node(2), family), NEAR.endpoints, Masqueraded)?;
    }
    Ok(())
}

fn client_to_host_process(world: &mut World, family: Family) -> Result<()> {
    for client in world.outsiders() {
        client.asks(HOST.at(world.lab.node(2), family), HOST.endpoints, Kept)?;
        client.asks(HOST.at(world.lab.node(1), family), HOST.endpoints, Masqueraded)?;
    }
    Ok(())
}

/// 100 MB down and up, through every kind of rewrite.
fn large_bodies(world: &mut World, family: Family) -> Result<()> {
    const LENGTH: u64 = 100_000_000;
    let (pod, client) = (world.asker("web-1")?, world.outsiders()[0]);
    let ways = [
        (pod, FAR.cluster(family)),
        (pod, NEAR.cluster(family)),
        (client, FAR.at(world.lab.node(1), family)),
    ];
    ways.into_iter().try_for_each(|(asker, dst)| transfer(asker, dst, LENGTH))
}

/// So many bytes down and as many up, through one connection.
pub(crate) fn transfer(asker: Asker<'_>, dst: SocketAddr, length: u64) -> Result<()> {
    let transfer = async {
        let mut connection = Connection::open(dst, None).await?;
        connection.download(length).await.context("download")?;
        connection.upload(length).await.context("upload")
    };
    asker.netns.run(|| block_on(transfer)).with_context(|| format!("{} and {dst}", asker.name))
}

fn datagrams_up_to_the_mtu(world: &mut World, family: Family) -> Result<()> {
    let headers = match family {
        Family::V4 => 20 + 8,
        Family::V6 => 40 + 8,
    };
    let largest = usize::from(world.lab.preset.pod_mtu()) - headers;
    let ways = [
        (world.asker("web-1")?, FAR.cluster(family)),
        (world.asker("web-2")?, NEAR.cluster(family)),
        (world.outsiders()[0], FAR.at(world.lab.node(1), family)),
        (world.outsiders()[0], NEAR.at(world.lab.node(1), family)),
    ];
    for (asker, dst) in ways {
        for size in [udp::SMALLEST, 511, 1_200, largest - 1, largest] {
            let ask = || udp::Client::new(dst, None)?.ask(size);
            asker
                .netns
                .run(ask)
                .with_context(|| format!("{size} bytes from {} to {dst}", asker.name))?;
        }
    }
    Ok(())
}
