//! Processes in a node's own namespace, whose sockets are translated: whom they reach, and whom
//! they believe to have reached.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Node, SOON, wait_for},
    traffic::peer::{How, Told},
};

use crate::{
    expect::host_refuses,
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
];

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
pub(crate) fn wait_for_more(node: &Node, outcome: &str, number: u64) -> Result<()> {
    let before = node.outcome(outcome)?;
    let more = || node.outcome(outcome).is_ok_and(|now| now >= before + number).then_some(());
    wait_for(&format!("{number} more of {outcome}"), SOON, more)
}

fn refused(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1);
    let before = node.outcome("socket_refused")?;
    let targets = [EMPTY.cluster(family), EMPTY.at(node, family)];
    for dst in targets {
        host_refuses(node, dst)?;
    }
    let counted = node.outcome("socket_refused")? - before;
    ensure!(counted == 6, "{counted} of 6 refusals counted");
    Ok(())
}

/// A process of the node asks `dst` in every way: an endpoint of the service answers, and the
/// socket says that it was `dst`.
pub(crate) fn asks(node: &Node, dst: SocketAddr, service: Service) -> Result<()> {
    asks_any(node, dst, service.endpoints)
}

pub(crate) fn asks_any(node: &Node, dst: SocketAddr, endpoints: &[&str]) -> Result<()> {
    for how in How::ALL {
        let told = node.ask(how, &[dst, dst])?;
        check_any(&told, dst, endpoints)
            .with_context(|| format!("{} asks {dst} by {}", node.name, how.name()))?;
    }
    Ok(())
}

pub(crate) fn check(told: &[Told], dst: SocketAddr, service: Service) -> Result<()> {
    check_any(told, dst, service.endpoints)
}

fn check_any(told: &[Told], dst: SocketAddr, endpoints: &[&str]) -> Result<()> {
    for Told { name, peer, .. } in told {
        ensure!(endpoints.contains(&&**name), "{name} answered");
        ensure!(*peer == dst, "the peer is {peer}");
    }
    Ok(())
}
