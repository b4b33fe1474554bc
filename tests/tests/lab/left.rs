//! A ClusterIP that a process of the node answers by itself, as NodeLocal DNSCache does.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Netns, SOON, wait_for},
    traffic::PATIENCE,
};

use crate::{
    client::Source::Kept,
    scenario::Scenario,
    services::{FAR, NEAR},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario::per_family("an_address_is_left_to_the_host", left_to_the_host).few()];

fn left_to_the_host(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--leave-to-host", "default/near"])?;
    let answers = answers(world, family);
    world.restart_agent(1, &[])?;
    answers
}

/// The node's process answers pods and the node itself, and sees their addresses. Other Services are
/// served as ever.
fn answers(world: &World, family: Family) -> Result<()> {
    let (node, vip) = (world.lab.node(1).netns(), NEAR.cluster(family));
    let _address = Address::add(node, vip.ip())?;
    let listener = node.run(|| listen(vip))?;
    let pod = world.asker("web-2")?;
    for (netns, own) in [(pod.netns, pod.own(vip)), (node, vip.ip())] {
        // The agent follows the node's addresses: until it knows of this one, the port is refused.
        let asked = || netns.run(|| Ok(TcpStream::connect_timeout(&vip, PATIENCE)?)).ok();
        let _asking = wait_for(&format!("an answer to {own} at {vip}"), SOON, asked)?;
        let client = wait_for("the connection", SOON, || accept(&listener))?;
        ensure!(client.ip() == own, "the process of the node saw {client}, not {own}");
    }
    pod.asks(FAR.cluster(family), FAR.endpoints, Kept)
}

fn listen(at: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(at).with_context(|| format!("listen at {at}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(listener: &TcpListener) -> Option<SocketAddr> {
    match listener.accept() {
        Ok((_, client)) => Some(client),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("accept: {error}"),
    }
}

/// An address that a node has until the value is dropped.
struct Address<'a> {
    node: &'a Netns,
    ip: IpAddr,
}

impl<'a> Address<'a> {
    fn add(node: &'a Netns, ip: IpAddr) -> Result<Self> {
        node.address("add", ip, "eth0")?;
        Ok(Self { node, ip })
    }
}

impl Drop for Address<'_> {
    fn drop(&mut self) {
        // The namespace goes with the lab, should this fail.
        let _ = self.node.address("del", self.ip, "eth0");
    }
}
