//! At which addresses of a node NodePorts answer.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use svclb_tests::{
    lab::{Family, Netns, Node, SOON, manifests, wait_for},
    traffic::{http, peer::How, udp},
};

use crate::{
    host::asks,
    scenario::Scenario,
    services::{FAR, NEAR},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("node_port_follows_the_nodes_addresses", follows).few(),
    Scenario::per_family("node_port_at_primary_addresses_follows_the_node_object", primary).few(),
    Scenario::per_family("node_port_answers_through_a_device_without_a_link_header", tunnel).few(),
    Scenario::once("node_port_answers_where_the_option_says", options).few(),
];

/// Bytes of a datagram in fragments.
const LONG: usize = 4_000;

/// How long nobody must have answered.
const PATIENCE: Duration = Duration::from_millis(200);

/// An address that a node has until the value is dropped, and the LAN's client a route to it.
pub(crate) struct Lent<'a> {
    node: &'a Netns,
    client: &'a Netns,
    pub(crate) ip: IpAddr,
    via: IpAddr,
}

impl<'a> Lent<'a> {
    pub(crate) fn to(world: &'a World, node: &'a Node, family: Family) -> Result<Self> {
        let ip = match family {
            Family::V4 => Ipv4Addr::new(203, 0, 113, 77).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 1).into(),
        };
        let (client, via) = (world.lab.on_lan().netns(), node.ip.ip(family));
        let lent = Self { node: node.netns(), client, ip, via };
        lent.client.ip(format!("route add {ip} via {via}"))?;
        Ok(lent)
    }

    /// Does `verb`, `add` or `del`.
    pub(crate) fn set(&self, verb: &str) -> Result<()> {
        self.node.address(verb, self.ip, "eth0")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // Either may be gone already; the namespaces go with the lab.
        let _ = self.set("del");
        let _ = self.client.ip(format!("route del {} via {}", self.ip, self.via));
    }
}

/// Whether `dst` answers a client on the LAN, and by the right endpoint.
fn answers(world: &World, dst: SocketAddr) -> Result<bool> {
    let asked = world.lab.on_lan().netns().run(|| {
        let open = TcpStream::connect_timeout(&dst, PATIENCE).is_ok();
        if open { http::who(dst).map(|answer| Some(answer.name)) } else { Ok(None) }
    })?;
    match asked.as_deref() {
        None => Ok(false),
        Some(name) if NEAR.endpoints.contains(&name) => Ok(true),
        Some(other) => bail!("{other} answered at {dst}"),
    }
}

fn wait_until(world: &World, dst: SocketAddr, answered: bool) -> Result<()> {
    let what = format!("{dst} {}", if answered { "to answer" } else { "to answer no more" });
    wait_for(&what, SOON, || (answers(world, dst).ok()? == answered).then_some(()))
}

fn follows(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1);
    let lent = Lent::to(world, node, family)?;
    let dst = (lent.ip, NEAR.node_port()).into();
    ensure!(!answers(world, dst)?, "{dst} answers before the node has it");
    lent.set("add")?;
    wait_until(world, dst, true)?;
    // Sockets find it by the same table.
    asks(node, dst, NEAR)?;
    lent.set("del")?;
    wait_until(world, dst, false)
}

/// The Node object names another address, and then its own again.
fn primary(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--nodeport-addresses", "primary"])?;
    let followed = follow_object(world, family);
    let restored = write_nodes(world, None);
    world.restart_agent(1, &[])?;
    followed.and(restored)
}

fn follow_object(world: &World, family: Family) -> Result<()> {
    let node = world.lab.node(1);
    let lent = Lent::to(world, node, family)?;
    lent.set("add")?;
    let (own, other) = (NEAR.at(node, family), (lent.ip, NEAR.node_port()).into());
    wait_until(world, own, true)?;
    ensure!(!answers(world, other)?, "{other} answers, and is not primary");
    let localhost = (loopback(family), NEAR.node_port()).into();
    ensure!(node.ask(How::Tcp, &[localhost]).is_err(), "{localhost} answers, and is not primary");
    write_nodes(world, Some((own.ip(), lent.ip)))?;
    wait_until(world, other, true)?;
    ensure!(!answers(world, own)?, "{own} answers, and is not primary any more");
    write_nodes(world, None)?;
    wait_until(world, own, true)?;
    wait_until(world, other, false)
}

/// Writes the nodes' manifests, with one address in place of another.
fn write_nodes(world: &World, replaced: Option<(IpAddr, IpAddr)>) -> Result<()> {
    let nodes: Vec<_> = world.lab.nodes.iter().map(manifests::node).collect();
    let mut text = nodes.join("---\n");
    if let Some((old, new)) = replaced {
        text = text.replace(&format!("\"{old}\""), &format!("\"{new}\""));
    }
    world.manifests.write("nodes", &text)
}

pub(crate) fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// What the option says, and who is answered then: a client on the LAN, a process of the node that
/// asks its loopback; in which families.
type Case<'a> = (&'a str, [bool; 2], [bool; 2]);

const CASES: [Case<'_>; 5] = [
    ("localhost", [false, false], [true, true]),
    ("all", [true, true], [false, false]),
    ("127.0.0.0/8", [false, false], [true, false]),
    ("::/0", [false, true], [false, true]),
    ("all,localhost", [true, true], [true, true]),
];

fn options(world: &mut World) -> Result<()> {
    let asked = CASES.iter().try_for_each(|case| {
        world.restart_agent(1, &["--nodeport-addresses", case.0])?;
        answers_as_said(world, case).with_context(|| case.0.to_owned())
    });
    world.restart_agent(1, &[])?;
    asked
}

fn answers_as_said(world: &World, (_, client, localhost): &Case<'_>) -> Result<()> {
    let node = world.lab.node(1);
    for (i, family) in Family::BOTH.into_iter().enumerate() {
        let dst = NEAR.at(node, family);
        ensure!(answers(world, dst)? == client[i], "{dst}: not {}", client[i]);
        let dst = (loopback(family), FAR.node_port()).into();
        match localhost[i] {
            true => asks(node, dst, FAR)?,
            false => ensure!(node.ask(How::Tcp, &[dst]).is_err(), "{dst} answers"),
        }
    }
    Ok(())
}

/// The client sees a tunnel's device, and so does the node: packets without an Ethernet header.
fn tunnel(world: &mut World, family: Family) -> Result<()> {
    let (node, client) = (world.lab.node(1), world.lab.external().netns());
    let _tunnel = world.lab.tunnel(1)?;
    for service in [NEAR, FAR] {
        let dst = service.at(node, family);
        client.run(|| {
            let connect = || http::who(dst).ok();
            wait_for("an answer through the tunnel", SOON, connect)?;
            udp::Client::new(dst, None)?.ask(LONG).context("fragments").map(drop)
        })?;
    }
    Ok(())
}
