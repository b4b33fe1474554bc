//! Socket hooks as the option says, from one agent to the next, and what they count.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Node},
    traffic::peer::How,
};

use crate::{
    host::{asks, asks_any, check, wait_for_more},
    scenario::Scenario,
    services::{FAR, NEAR, Service, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("host_connections_are_counted", counted),
    Scenario::per_family("host_mode_leaves_pods_to_packets", pods_by_packets),
    Scenario::per_family("host_is_served_without_the_agent", without_agent),
    Scenario::per_family("host_loses_nothing_when_agents_change", agents_change),
    Scenario::once("host_modes_follow_the_option", modes),
    Scenario::once("a_wrong_control_group_ends_the_start", wrong_control_group),
];

fn counted(world: &mut World, family: Family) -> Result<()> {
    const ASKED: u64 = 5;
    let node = world.lab.node(1);
    let count = |names: [&str; 4]| -> Result<Vec<u64>> {
        names.iter().map(|name| node.outcome(name)).collect()
    };
    let names = ["socket_connected", "socket_sent", "socket_received", "socket_peer_named"];
    let (before, flows) = (count(names)?, flows_of(node, FAR, family)?);
    let opened_by_packets =
        || -> Result<u64> { world.lab.nodes.iter().map(|node| node.outcome("flow_opened")).sum() };
    let opened_before = opened_by_packets()?;
    let targets = [FAR.cluster(family); ASKED as usize];
    for how in How::ALL {
        node.ask(how, &targets)?;
    }
    let after = count(names)?;
    let grown: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    ensure!(grown == [2 * ASKED, ASKED, 2 * ASKED, 2 * ASKED], "{names:?} counted {grown:?}");
    // A connection each, and one flow of the socket that has none.
    let [tcp, udp] = flows_of(node, FAR, family)?;
    let opened = [tcp - flows[0], udp - flows[1]];
    ensure!(opened == [ASKED, ASKED + 1], "flows of TCP and UDP counted: {opened:?}");
    ensure!(opened_by_packets()? == opened_before, "the packets' hooks have opened flows");
    Ok(())
}

/// Flows of a service so far: TCP, UDP.
fn flows_of(node: &Node, service: Service, family: Family) -> Result<[u64; 2]> {
    let rows = node.svclb(&["get", "services", "-o", "json"])?;
    let rows: serde_json::Value = serde_json::from_str(&rows)?;
    let flows = |protocol: &str| {
        let mut rows = rows.as_array().into_iter().flatten();
        let row = rows.find(|row| {
            row["service"] == service.name
                && row["protocol"] == protocol
                && row["family"] == family.name()
        });
        row.and_then(|row| row["flows"].as_u64())
            .with_context(|| format!("no {protocol} of {} in svclb get services", service.name))
    };
    Ok([flows("TCP")?, flows("UDP")?])
}

fn pods_by_packets(world: &mut World, family: Family) -> Result<()> {
    let [connected, opened] = pod_asks(world, family)?;
    ensure!((connected, opened) == (0, 3), "{connected} sockets and {opened} flows of a pod");
    no_node_port_on_pods_localhost(world, family)
}

/// How often a pod's three questions were translated at its sockets, and how many flows its packets
/// have opened.
fn pod_asks(world: &World, family: Family) -> Result<[u64; 2]> {
    let (node, pod) = (world.lab.node(1), world.asker("web-1")?);
    let count = || -> Result<[u64; 2]> {
        let sockets = node.outcome("socket_connected")? + node.outcome("socket_sent")?;
        Ok([sockets, node.outcome("flow_opened")?])
    };
    let before = count()?;
    for how in How::ALL {
        let told = node.ask_from(pod.netns, how, &[FAR.cluster(family)])?;
        check(&told, FAR.cluster(family), FAR).with_context(|| how.name())?;
    }
    let after = count()?;
    Ok([after[0] - before[0], after[1] - before[1]])
}

fn without_agent(world: &mut World, family: Family) -> Result<()> {
    world.agents.remove(0).terminate()?;
    let asked = asks(world.lab.node(1), FAR.cluster(family), FAR);
    let next = world.start_agent(1)?;
    world.agents.insert(0, next);
    asked.context("without the agent")?;
    asks(world.lab.node(1), FAR.cluster(family), FAR).context("with the next agent")
}

/// The programs of the next agent take their places while connections are made.
fn agents_change(world: &mut World, family: Family) -> Result<()> {
    let (old, dst) = (world.agents.remove(0), WEB.cluster(family).to_string());
    let (world_now, node) = (&*world, world.lab.node(1));
    let arguments = ["http", &dst, "-n", "6000", "--rate", "1000"];
    let (next, report) = thread::scope(|scope| {
        let asking = scope.spawn(|| node.lab_tool(node.netns(), &arguments));
        wait_for_more(node, "socket_connected", 100)?;
        old.terminate()?;
        let next = world_now.start_agent(1)?;
        let report = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        anyhow::Ok((next, report))
    })?;
    world.agents.insert(0, next);
    let report: serde_json::Value = serde_json::from_str(&report?)?;
    let (answered, errors) = (&report["answered"], &report["errors"]);
    ensure!(answered == 6_000, "{answered} of 6,000 requests answered; errors: {errors}");
    Ok(())
}

fn modes(world: &mut World) -> Result<()> {
    world.restart_agent(1, &["--socket-hooks", "all"])?;
    for family in Family::BOTH {
        let [translated, opened] = pod_asks(world, family).context("mode all")?;
        ensure!((translated, opened) == (3, 0), "mode all: {translated} sockets, {opened} flows");
        no_node_port_on_pods_localhost(world, family).context("mode all")?;
        asks(world.lab.node(1), FAR.cluster(family), FAR).context("mode all")?;
    }
    world.restart_agent(1, &["--socket-hooks", "off"])?;
    let node = world.lab.node(1);
    let before = node.outcome("socket_connected")?;
    let direct = world.pod("web-3")?.socket(Family::V4);
    asks_any(node, direct, &["web-3"]).context("mode off")?;
    let local = (Ipv4Addr::LOCALHOST, FAR.node_port()).into();
    ensure!(node.ask(How::Tcp, &[local]).is_err(), "mode off: {local} answers");
    ensure!(node.outcome("socket_connected")? == before, "mode off: a socket was translated");
    world.restart_agent(1, &[])?;
    asks(world.lab.node(1), FAR.cluster(Family::V4), FAR).context("mode host again")
}

fn wrong_control_group(world: &mut World) -> Result<()> {
    world.agents.remove(0).terminate()?;
    let started = world.start_agent_with(1, &["--cgroup", "/proc"]);
    let next = world.start_agent(1)?;
    world.agents.insert(0, next);
    let told = started.err().context("an agent with /proc for a control group")?;
    ensure!(format!("{told:#}").contains("/proc is not in a cgroup2"), "{told:#}");
    Ok(())
}

/// A pod's loopback is its own.
fn no_node_port_on_pods_localhost(world: &World, family: Family) -> Result<()> {
    let pod = world.asker("web-1")?;
    let addresses: [IpAddr; 2] = match family {
        Family::V4 => [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into()],
        Family::V6 => [Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()],
    };
    for own in addresses.map(|ip| (ip, NEAR.node_port()).into()) {
        let asked = world.lab.node(1).ask_from(pod.netns, How::Tcp, &[own]);
        ensure!(asked.is_err(), "the node's port answers at a pod's own {own}");
    }
    Ok(())
}
