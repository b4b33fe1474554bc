//! Processes in a node's own namespace, whose sockets are translated: whom they reach, and whom
//! they believe to have reached.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Node, SOON, wait_for},
    traffic::peer::{How, Told},
};

use crate::{
    load::wait_until_only,
    scenario::Scenario,
    services::{CHANGING, EMPTY, FAR, FAR_TOO, HOST, NEAR, Service, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("host_reaches_cluster_ip", cluster_ip),
    Scenario::per_family("host_reaches_node_port", node_port),
    Scenario::per_family("host_reaches_node_port_on_localhost", localhost),
    Scenario::once("host_reaches_ipv4_from_ipv6_sockets", ipv4_in_ipv6),
    Scenario::per_family("host_datagrams_stay_at_their_endpoint", datagrams_stay),
    Scenario::per_family("host_datagrams_are_answered_by_whom_was_asked", datagrams_in_turn),
    Scenario::per_family("host_datagrams_follow_the_endpoints", datagrams_follow),
    Scenario::per_family("host_is_refused_without_endpoint", refused),
    Scenario::per_family("host_connections_are_counted", counted),
    Scenario::per_family("host_mode_leaves_pods_to_packets", pods_by_packets),
    Scenario::per_family("host_is_served_without_the_agent", without_agent),
    Scenario::per_family("host_loses_nothing_when_agents_change", agents_change),
    Scenario::once("host_modes_follow_the_option", modes),
];

/// A refusal comes from the process's own kernel, without a packet.
const AT_ONCE: Duration = Duration::from_secs(2);

fn cluster_ip(world: &mut World, family: Family) -> Result<()> {
    for node in &world.lab.nodes {
        for service in [NEAR, FAR, WEB, HOST] {
            asks(node, service.cluster(family), service)?;
        }
    }
    Ok(())
}

/// The node's own address is translated here, the other node's there.
fn node_port(world: &mut World, family: Family) -> Result<()> {
    for node in &world.lab.nodes {
        for at in &world.lab.nodes {
            for service in [NEAR, FAR, WEB] {
                asks(node, service.at(at, family), service)?;
            }
        }
    }
    Ok(())
}

fn localhost(world: &mut World, family: Family) -> Result<()> {
    let (addresses, any): (&[IpAddr], IpAddr) = match family {
        Family::V4 => (
            &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(127, 9, 8, 7))],
            Ipv4Addr::UNSPECIFIED.into(),
        ),
        Family::V6 => (&[IpAddr::V6(Ipv6Addr::LOCALHOST)], Ipv6Addr::UNSPECIFIED.into()),
    };
    let node = world.lab.node(1);
    for address in addresses {
        for service in [NEAR, FAR, WEB] {
            asks(node, (*address, service.node_port()).into(), service)?;
        }
    }
    // No address is localhost, and is called so.
    for how in How::ALL {
        let told = node.ask(how, &[(any, FAR.node_port()).into()])?;
        check(&told, (addresses[0], FAR.node_port()).into(), FAR).with_context(|| how.name())?;
    }
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

fn ipv4_in_ipv6(world: &mut World) -> Result<()> {
    let node = world.lab.node(1);
    for (service, dst) in [
        (NEAR, NEAR.cluster(Family::V4)),
        (FAR, FAR.cluster(Family::V4)),
        (FAR, FAR.at(node, Family::V4)),
        (FAR, (Ipv4Addr::LOCALHOST, FAR.node_port()).into()),
    ] {
        let IpAddr::V4(ip) = dst.ip() else { continue };
        asks(node, (ip.to_ipv6_mapped(), dst.port()).into(), service)?;
    }
    Ok(())
}

/// One socket without a connection talks to one endpoint, as a flow of packets would.
fn datagrams_stay(world: &mut World, family: Family) -> Result<()> {
    let told = world.lab.node(1).ask(How::Datagram, &[WEB.cluster(family); 50])?;
    let first = told.first().context("no answer")?;
    ensure!(told.iter().all(|other| other == first), "several answered: {told:?}");
    Ok(())
}

/// Two services share an endpoint, and it is asked directly as well.
fn datagrams_in_turn(world: &mut World, family: Family) -> Result<()> {
    let direct = world.pod("web-3")?.socket(family);
    let round = [FAR.cluster(family), FAR_TOO.cluster(family), direct, NEAR.cluster(family)];
    let targets = [round, round].concat();
    let told = world.lab.node(1).ask(How::Datagram, &targets)?;
    for (dst, told) in targets.iter().zip(&told) {
        ensure!(told.peer == *dst, "asked {dst}, {} answered", told.peer);
    }
    Ok(())
}

/// A socket leaves its endpoint when that no longer serves.
fn datagrams_follow(world: &mut World, family: Family) -> Result<()> {
    let (node, dst) = (world.lab.node(1), CHANGING.cluster(family).to_string());
    let serve_by = |name| CHANGING.write_slices(&world.lab, &world.manifests, &[name]);
    serve_by("web-1")?;
    wait_until_only(world, &CHANGING, family, &["web-1"])?;
    let arguments = ["ask", "datagram", "--rounds", "300", "--pause", "10", &dst];
    let told = thread::scope(|scope| {
        let asking = scope.spawn(|| node.lab_tool(node.netns(), &arguments));
        wait_for_more(node, "socket_sent", 20)?;
        serve_by("web-3")?;
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    CHANGING.write_slices(&world.lab, &world.manifests, CHANGING.endpoints)?;
    let told: Vec<Told> = serde_json::from_str(&told)?;
    let names: Vec<_> = told.iter().map(|told| &*told.name).collect();
    let changes = names.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let ends = (names.first(), names.last());
    ensure!(ends == (Some(&"web-1"), Some(&"web-3")) && changes == 1, "answered: {names:?}");
    Ok(())
}

/// Waits until an outcome was counted `number` times more.
fn wait_for_more(node: &Node, outcome: &str, number: u64) -> Result<()> {
    let before = node.outcome(outcome)?;
    let more = || node.outcome(outcome).is_ok_and(|now| now >= before + number).then_some(());
    wait_for(&format!("{number} more of {outcome}"), SOON, more)
}

fn refused(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1);
    let before = node.outcome("socket_refused")?;
    let targets = [EMPTY.cluster(family), EMPTY.at(node, family)];
    for dst in targets {
        for how in How::ALL {
            let started = Instant::now();
            let asked = node.ask(how, &[dst]).map_err(|error| format!("{error:#}"));
            let told = asked.err().with_context(|| format!("somebody answers at {dst}"))?;
            ensure!(told.contains("Connection refused"), "{} to {dst}: {told}", how.name());
            ensure!(started.elapsed() < AT_ONCE, "refused after {:?}", started.elapsed());
        }
    }
    let counted = node.outcome("socket_refused")? - before;
    ensure!(counted == 6, "{counted} of 6 refusals counted");
    Ok(())
}

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

/// A process of the node asks `dst` in every way: an endpoint of the service answers, and the
/// socket says that it was `dst`.
fn asks(node: &Node, dst: SocketAddr, service: Service) -> Result<()> {
    asks_any(node, dst, service.endpoints)
}

fn asks_any(node: &Node, dst: SocketAddr, endpoints: &[&str]) -> Result<()> {
    for how in How::ALL {
        let told = node.ask(how, &[dst, dst])?;
        check_any(&told, dst, endpoints)
            .with_context(|| format!("{} asks {dst} by {}", node.name, how.name()))?;
    }
    Ok(())
}

fn check(told: &[Told], dst: SocketAddr, service: Service) -> Result<()> {
    check_any(told, dst, service.endpoints)
}

fn check_any(told: &[Told], dst: SocketAddr, endpoints: &[&str]) -> Result<()> {
    for Told { name, peer, .. } in told {
        ensure!(endpoints.contains(&&**name), "{name} answered");
        ensure!(*peer == dst, "the peer is {peer}");
    }
    Ok(())
}
