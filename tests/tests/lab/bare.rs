//! The lab itself, without svclb: what fails here is no fault of the data path.

use anyhow::{Result, ensure};
use svclb_tests::{
    lab::{Family, Foreign},
    traffic::{http, udp},
};

use crate::{scenario::Scenario, untouched, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("lab_pods_reach_pods", pods_reach_pods).bare(),
    Scenario::per_family("lab_nodes_reach_pods", nodes_reach_pods).bare(),
    Scenario::per_family("lab_pods_reach_clients", pods_reach_the_world).bare(),
    Scenario::per_family("lab_clients_reach_nodes", clients_reach_nodes).bare(),
    Scenario::once("lab_captures_are_stable", captures_are_stable).bare(),
    Scenario::once("lab_foreign_programs_run", foreign_programs_run).bare(),
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

fn captures_are_stable(world: &mut World) -> Result<()> {
    let (first, second) = (untouched::capture(world)?, untouched::capture(world)?);
    ensure!(first == second, "{first:02x?}\n{second:02x?}");
    Ok(())
}

fn foreign_programs_run(world: &mut World) -> Result<()> {
    let node = world.lab.node(1);
    let foreign = Foreign::attach(node.netns(), &node.netns().devices()?)?;
    let dst = world.pod("web-3")?.socket(Family::V4);
    world.pod("web-1")?.netns()?.run(|| http::who(dst))?;
    let runs = foreign.runs()?;
    ensure!(runs.iter().all(|count| *count > 0), "{runs:?}");
    Ok(())
}
