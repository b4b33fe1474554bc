//! The lab itself, without svclb: what fails here is no fault of the data path.

use anyhow::{Result, ensure};
use svclb_tests::{
    lab::Family,
    traffic::{http, udp},
};

use crate::{scenario::Scenario, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("lab_pods_reach_pods", pods_reach_pods),
    Scenario::per_family("lab_nodes_reach_pods", nodes_reach_pods),
    Scenario::per_family("lab_pods_reach_clients", pods_reach_the_world),
    Scenario::per_family("lab_clients_reach_nodes", clients_reach_nodes),
];

fn pods_reach_pods(world: &mut World, family: Family) -> Result<()> {
    for (from, to) in [("web-1", "web-2"), ("web-1", "web-3"), ("web-4", "web-2")] {
        let (client, server) = (world.pod(from)?, world.pod(to)?);
        let dst = server.socket(family);
        client.netns()?.run(|| {
            let answer = http::who(dst)?;
            ensure!(answer.name == to, "{from} asked {to}, {} answered", answer.name);
            ensure!(answer.client.ip() == client.ip.ip(family), "{to} saw {}", answer.client);
            ensure!(udp::who(dst)? == to, "UDP from {from} to {to}");
            Ok(())
        })?;
    }
    Ok(())
}

fn nodes_reach_pods(world: &mut World, family: Family) -> Result<()> {
    for to in ["web-1", "web-3"] {
        let dst = world.pod(to)?.socket(family);
        let answer = world.lab.node(1).netns().run(|| http::who(dst))?;
        ensure!(answer.name == to, "node1 asked {to}, {} answered", answer.name);
    }
    Ok(())
}

/// Replies to clients on both networks; the node's process stands for a server out there.
fn pods_reach_the_world(world: &mut World, family: Family) -> Result<()> {
    for (from, to) in [("web-1", "host-1"), ("web-1", "host-2")] {
        let dst = world.pod(to)?.socket(family);
        let answer = world.pod(from)?.netns()?.run(|| http::who(dst))?;
        ensure!(answer.name == to, "{from} asked {to}, {} answered", answer.name);
    }
    Ok(())
}

fn clients_reach_nodes(world: &mut World, family: Family) -> Result<()> {
    for client in &world.lab.clients {
        for to in ["host-1", "host-2"] {
            let dst = world.pod(to)?.socket(family);
            let answer = client.netns().run(|| http::who(dst))?;
            ensure!(answer.client.ip() == client.ip.ip(family), "{to} saw {}", answer.client);
        }
    }
    Ok(())
}
