//! Connections that share addresses and ports: each keeps its own partner.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::Family,
    traffic::{block_on, http::Connection, udp},
};

use crate::{
    client::Asker,
    scenario::Scenario,
    services::{FAR, FAR_TOO},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("one_port_to_two_services_with_one_endpoint", two_services),
    Scenario::per_family("one_port_to_service_then_endpoint", service_then_direct),
    Scenario::per_family("one_port_to_endpoint_then_service", direct_then_service),
    Scenario::per_family("one_client_port_at_a_node_port", outside),
    Scenario::per_family("parallel_questions_from_one_socket", parallel_questions),
];

fn two_services(world: &mut World, family: Family) -> Result<()> {
    at_once(world.asker("web-1")?, &[FAR.cluster(family), FAR_TOO.cluster(family)])
}

fn service_then_direct(world: &mut World, family: Family) -> Result<()> {
    let direct = world.pod("web-3")?.socket(family);
    at_once(world.asker("web-1")?, &[FAR.cluster(family), direct])?;
    at_once(world.asker("web-2")?, &[FAR.cluster(family), FAR_TOO.cluster(family), direct])
}

fn direct_then_service(world: &mut World, family: Family) -> Result<()> {
    let direct = world.pod("web-3")?.socket(family);
    at_once(world.asker("web-1")?, &[direct, FAR.cluster(family)])?;
    at_once(world.asker("web-4")?, &[direct, FAR.cluster(family), FAR_TOO.cluster(family)])
}

/// Masqueraded flows of one client port that meet at one endpoint.
fn outside(world: &mut World, family: Family) -> Result<()> {
    let (first, second) = (world.lab.node(1), world.lab.node(2));
    let targets = [
        FAR.at(first, family),
        FAR_TOO.at(first, family),
        FAR.at(second, family),
        FAR_TOO.at(second, family),
    ];
    world.outsiders().into_iter().try_for_each(|client| at_once(client, &targets))
}

/// Holds connections from one address and port to all of `targets` at once and uses them in turn:
/// HTTP, then UDP.
fn at_once(asker: Asker<'_>, targets: &[SocketAddr]) -> Result<()> {
    let source = asker.fresh_source(targets[0]);
    let http = || block_on(http_in_turn(source, targets));
    let udp = || udp::in_turn(source, targets);
    for run in [&http as &(dyn Fn() -> Result<()> + Sync), &udp] {
        asker.netns.run(run).with_context(|| format!("from {source} to {targets:?}"))?;
    }
    Ok(())
}

async fn http_in_turn(source: SocketAddr, targets: &[SocketAddr]) -> Result<()> {
    let mut connections = Vec::new();
    for dst in targets {
        let opened = Connection::open(*dst, Some(source)).await;
        connections.push(opened.with_context(|| format!("connection to {dst}"))?);
        // Every connection so far, so that a new one that breaks an older one is seen.
        for (connection, dst) in connections.iter_mut().zip(targets) {
            let answer = connection.who().await.with_context(|| format!("request to {dst}"))?;
            ensure!(answer.name == "web-3", "{dst}: {} answered", answer.name);
        }
    }
    Ok(())
}

/// As a resolver asks for A and AAAA.
fn parallel_questions(world: &mut World, family: Family) -> Result<()> {
    let asker = world.asker("web-1")?;
    let dst = crate::services::WEB.cluster(family);
    asker.netns.run(|| {
        for _ in 0..20 {
            let mut client = udp::Client::new(dst, None)?;
            let mut asked = [client.send(udp::SMALLEST)?, client.send(udp::SMALLEST)?];
            let mut answered = [client.receive()?.0, client.receive()?.0];
            asked.sort_unstable();
            answered.sort_unstable();
            ensure!(asked == answered, "asked {asked:?}, answered {answered:?}");
        }
        Ok(())
    })
}
