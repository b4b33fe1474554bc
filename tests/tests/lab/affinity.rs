//! Session affinity under real traffic.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use svclb_tests::{
    lab::{Family, Netns, Node, SOON, wait_for},
    traffic::{http, load::Load, peer::How},
};

use crate::{
    client::Asker,
    custom::{Custom, Fields, balancer},
    scenario::Scenario,
    services::WEB,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("affinity_pins_clients_at_all_frontends", pinned).few(),
    Scenario::per_family("affinity_is_one_for_packets_and_sockets", one_state).few(),
    Scenario::per_family("affinity_ends_with_its_endpoint", moves).few(),
    Scenario::per_family("affinity_ends_with_its_time_out", times_out).few(),
];

const SERVICE: Custom = Custom::new("sticky", 40);
const BRIEF: Custom = Custom::new("sticky-brief", 41);

const FIELDS: Fields<'_> = Fields {
    spec: &["sessionAffinity: ClientIP"],
    ingress: &[],
    families: &Family::BOTH,
    protocols: &["TCP", "UDP"],
    endpoints: WEB.endpoints,
};

/// Half of 1,000: there are two frontends.
const CONNECTIONS: u64 = 500;

/// A client's 1,000 connections over two frontends are answered by one pod, before and after the
/// agent's restart: those of a pod, a process of the node, a client outside.
fn pinned(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(6);
    let ingress = ingress.each_ref().map(String::as_str);
    let _published = SERVICE.publish(world, Fields { ingress: &ingress, ..FIELDS })?;
    let at_node = SERVICE.at(world.lab.node(1), family);
    let targets = [SERVICE.cluster(family), at_node, vip.socket(family, 80)];
    let before = all_answered(world, targets)?;
    world.restart_agent(1, &[])?;
    let after = all_answered(world, targets)?;
    ensure!(after == before, "before the agent's restart {before:?}, after it {after:?}");
    Ok(())
}

/// Who answers a pod, a client outside and a process of the node.
fn all_answered(
    world: &World,
    [cluster, at_node, balancer]: [SocketAddr; 3],
) -> Result<[String; 3]> {
    let (pod, client, node) = (world.asker("web-2")?, world.outsiders()[0], world.lab.node(1));
    let localhost: IpAddr = match at_node {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let localhost = (localhost, at_node.port()).into();
    Ok([
        only_pod(&pod, [cluster, at_node])?,
        only_pod(&client, [at_node, balancer])?,
        only_host(node, [cluster, at_node, localhost])?,
    ])
}

/// The one pod that answers all of the client's connections.
fn only_pod(asker: &Asker<'_>, targets: [SocketAddr; 2]) -> Result<String> {
    let mut answered = BTreeMap::new();
    for dst in targets {
        let report = asker.netns.run(|| Load::http(dst, CONNECTIONS).run())?;
        report.must_be_clean().with_context(|| format!("{} asks {dst}", asker.name))?;
        answered.extend(report.by_pod);
    }
    only(answered.into_keys().collect()).with_context(|| asker.name.to_owned())
}

fn only_host(node: &Node, targets: [SocketAddr; 3]) -> Result<String> {
    let mut answered = BTreeSet::new();
    for dst in targets {
        let (dst, connections) = (dst.to_string(), CONNECTIONS.to_string());
        let told = node.lab_tool(node.netns(), &["http", &dst, "-n", &connections])?;
        let report: Value = serde_json::from_str(&told)?;
        ensure!(report["answered"] == CONNECTIONS, "{dst}: {report}");
        let pods = report["by_pod"].as_object().context("pods of the report")?;
        answered.extend(pods.keys().cloned());
    }
    only(answered).with_context(|| node.name.clone())
}

fn only(mut answered: BTreeSet<String>) -> Result<String> {
    match (answered.pop_first(), answered.is_empty()) {
        (Some(name), true) => Ok(name),
        (first, _) => bail!("answered: {first:?} {answered:?}"),
    }
}

/// A pod's connections that socket hooks see go where those went that its packets have opened.
fn one_state(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, FIELDS)?;
    let dst = SERVICE.cluster(family);
    let by_packets = asked_in_all_ways(world, dst)?;
    world.restart_agent(1, &["--socket-hooks", "all"])?;
    let by_sockets = asked_in_all_ways(world, dst);
    world.restart_agent(1, &[])?;
    let by_sockets = by_sockets?;
    ensure!(by_sockets == by_packets, "by packets {by_packets:?}, by sockets {by_sockets:?}");
    Ok(())
}

/// The pods that answer a pod by TCP, by UDP and by datagrams of one socket.
fn asked_in_all_ways(world: &World, dst: SocketAddr) -> Result<[String; 2]> {
    let (pod, node) = (world.asker("web-2")?, world.lab.node(1));
    let mut answered = [BTreeSet::new(), BTreeSet::new()];
    for how in How::ALL {
        let told = node.ask_from(pod.netns, how, &[dst; 20])?;
        let protocol = if how == How::Tcp { 0 } else { 1 };
        answered[protocol].extend(told.into_iter().map(|told| told.name));
    }
    let [tcp, udp] = answered;
    Ok([only(tcp).context("TCP")?, only(udp).context("UDP")?])
}

/// The client moves to one endpoint, and does not return to the old one when that comes back.
fn moves(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, FIELDS)?;
    let at_node = SERVICE.at(world.lab.node(1), family);
    let targets = [SERVICE.cluster(family), at_node, at_node];
    let before = all_answered(world, targets)?;
    let others: Vec<_> =
        FIELDS.endpoints.iter().copied().filter(|name| before.iter().all(|b| b != name)).collect();
    ensure!(!others.is_empty(), "three clients, four endpoints");
    SERVICE.change(world, Fields { endpoints: &others, ..FIELDS })?;
    let moved = all_answered(world, targets)?;
    ensure!(moved.iter().all(|name| others.contains(&&**name)), "{moved:?} of {others:?}");
    SERVICE.change(world, FIELDS)?;
    let stayed = all_answered(world, targets)?;
    ensure!(stayed == moved, "moved to {moved:?}, then answered by {stayed:?}");
    Ok(())
}

/// So many clients that not all move to where they were, with a fair choice among four.
const CLIENTS: u16 = 20;
/// The time-out of [`BRIEF`].
const TIME_OUT: Duration = Duration::from_secs(1);

/// After a silence longer than the time-out of one service, clients are chosen for anew there, and
/// stay at the other.
fn times_out(world: &mut World, family: Family) -> Result<()> {
    const SPEC: [&str; 2] =
        ["sessionAffinity: ClientIP", "sessionAffinityConfig: {clientIP: {timeoutSeconds: 1}}"];
    let _published =
        (SERVICE.publish(world, FIELDS)?, BRIEF.publish(world, Fields { spec: &SPEC, ..FIELDS })?);
    let node = world.lab.node(1);
    let targets = [SERVICE.at(node, family), BRIEF.at(node, family)];
    let clients = Clients::join(world, family)?;
    let [long, brief] = clients.ask_all(targets)?;
    let asked = Instant::now();
    wait_for("the time-out to pass", SOON, || (asked.elapsed() > TIME_OUT * 2).then_some(()))?;
    let [still_long, again_brief] = clients.ask_all(targets)?;
    ensure!(still_long == long, "moved in time: from {long:?} to {still_long:?}");
    ensure!(again_brief != brief, "nobody moved after the time-out: {brief:?}");
    Ok(())
}

/// Addresses of the client outside, as long as the value lives.
struct Clients<'a> {
    netns: &'a Netns,
    ips: Vec<IpAddr>,
}

impl<'a> Clients<'a> {
    fn join(world: &'a World, family: Family) -> Result<Self> {
        let ip = |i| -> IpAddr {
            match family {
                Family::V4 => Ipv4Addr::new(198, 51, 100, 50 + i as u8).into(),
                Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 5, i).into(),
            }
        };
        let netns = world.lab.external().netns();
        let clients = Self { netns, ips: (0..CLIENTS).map(ip).collect() };
        netns.ip(clients.lines("add", "nodad"))?;
        Ok(clients)
    }

    fn lines(&self, verb: &str, more: &str) -> String {
        let line = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => format!("addr {verb} {ip}/24 dev eth0\n"),
            IpAddr::V6(ip) => format!("addr {verb} {ip}/64 dev eth0 {more}\n"),
        };
        self.ips.iter().map(line).collect()
    }

    /// Who answers each client at each target.
    fn ask_all(&self, targets: [SocketAddr; 2]) -> Result<[Vec<String>; 2]> {
        let ask =
            |dst: SocketAddr, ip: &IpAddr| Ok(http::who_from(dst, Some((*ip, 0).into()))?.name);
        let all = |dst| self.ips.iter().map(|ip| ask(dst, ip)).collect::<Result<Vec<_>>>();
        self.netns.run(|| Ok([all(targets[0])?, all(targets[1])?]))
    }
}

impl Drop for Clients<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.netns.ip(self.lines("del", "")) {
            eprintln!("clients' addresses stay: {error:#}");
        }
    }
}
