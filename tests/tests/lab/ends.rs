//! TCP connections that svclb has no flow of: those that another service proxy began, and the
//! node's own.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Netns, NftTable, SOON},
    suite::ensure_prompt,
    traffic::{PATIENCE, block_on},
};
use tokio::net::TcpSocket;

use crate::{
    client::Source::{Kept, Masqueraded},
    life::nothing_left,
    scenario::Scenario,
    services::FAR,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("connections_of_another_proxy_survive_a_takeover", survive).few(),
    Scenario::per_family("connections_of_another_proxy_are_reset_without_takeover", reset).few(),
    Scenario::per_family("a_connection_of_the_node_may_have_a_node_ports_number", own).few(),
];

fn survive(world: &mut World, family: Family) -> Result<()> {
    begun_elsewhere(world, family, &["--takeover"], |world, connections| {
        let before = world.lab.node(1).outcome("left_to_kernel")?;
        for mut connection in connections {
            connection.asks().context("the other proxy's connection")?;
        }
        ensure!(world.lab.node(1).outcome("left_to_kernel")? > before, "not counted");
        asks_anew(world, family)
    })
}

fn reset(world: &mut World, family: Family) -> Result<()> {
    begun_elsewhere(world, family, &[], |world, connections| {
        for mut connection in connections {
            let began = Instant::now();
            let error = connection.asks().err().context("the connection goes on")?;
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            ensure!(kind == Some(ErrorKind::ConnectionReset), "no reset: {error:#}");
            ensure_prompt("the reset", began.elapsed())?;
        }
        asks_anew(world, family)
    })
}

/// New connections are svclb's.
fn asks_anew(world: &World, family: Family) -> Result<()> {
    world.asker("web-2")?.asks(FAR.cluster(family), FAR.endpoints, Kept)?;
    let at_node = FAR.at(world.lab.node(1), family);
    world.outsiders()[0].asks(at_node, FAR.endpoints, Masqueraded)
}

/// Connects from a pod and from outside through another proxy's rules while svclb is not on node 1,
/// then starts it with `options` beside them, and looks what `check` says of the connections.
fn begun_elsewhere(
    world: &mut World,
    family: Family,
    options: &[&str],
    check: impl FnOnce(&World, [Held; 2]) -> Result<()>,
) -> Result<()> {
    world.agents.remove(0).terminate()?;
    let checked = beside_other(world, family, options, check);
    let agent = world.start_agent(1)?;
    world.agents.insert(0, agent);
    checked
}

fn beside_other(
    world: &World,
    family: Family,
    options: &[&str],
    check: impl FnOnce(&World, [Held; 2]) -> Result<()>,
) -> Result<()> {
    let node = world.lab.node(1);
    node.svclb(&["unload"])?;
    nothing_left(node)?;
    let _rules = other_proxy(world, family)?;
    let (pod, client) = (world.asker("web-2")?.netns, world.lab.external().netns());
    let mut connections =
        [Held::open(pod, FAR.cluster(family))?, Held::open(client, FAR.at(node, family))?];
    connections.iter_mut().try_for_each(Held::asks)?;
    let agent = world.start_agent_with(1, options)?;
    let checked = check(world, connections);
    agent.terminate()?;
    checked
}

/// Rules as kube-proxy writes them, for one service.
fn other_proxy(world: &World, family: Family) -> Result<NftTable<'_>> {
    let (words, table) = match family {
        Family::V4 => ("ip", "ip other-proxy"),
        Family::V6 => ("ip6", "ip6 other-proxy"),
    };
    let (node, endpoint) = (world.lab.node(1), world.pod(FAR.endpoints[0])?.socket(family));
    let translate = |asked: SocketAddr| {
        format!("{words} daddr {} tcp dport {} dnat to {endpoint}\n", asked.ip(), asked.port())
    };
    let client = world.lab.external().ip.ip(family);
    node.netns().nft_table(
        table,
        &format!(
            "chain services {{\n\
               type nat hook prerouting priority dstnat;\n{}{}\
             }}\n\
             chain masquerading {{\n\
               type nat hook postrouting priority srcnat - 1;\n\
               {words} saddr {client} {words} daddr {} masquerade\n\
             }}\n",
            translate(FAR.cluster(family)),
            translate(FAR.at(node, family)),
            endpoint.ip(),
        ),
    )
}

/// An HTTP connection that is kept.
pub(crate) struct Held(TcpStream);

impl Held {
    pub(crate) fn open(netns: &Netns, dst: SocketAddr) -> Result<Self> {
        let stream = netns.run(|| TcpStream::connect_timeout(&dst, SOON).context("connect"));
        let stream = stream.with_context(|| format!("HTTP to {dst}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// One more request and its answer, which ends with the first line of its body.
    pub(crate) fn asks(&mut self) -> Result<()> {
        self.0.write_all(b"GET / HTTP/1.1\r\nhost: svclb-lab\r\n\r\n")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}\n") {
            let mut part = [0; 1024];
            let length = self.0.read(&mut part)?;
            ensure!(length > 0, "the connection ended");
            answer.extend_from_slice(&part[..length]);
        }
        Ok(())
    }
}

/// A process of the node asks somebody far away from a port that is a NodePort's.
fn own(world: &mut World, family: Family) -> Result<()> {
    let (node, far) = (world.lab.node(1), world.lab.external());
    let listener = far.netns().run(|| Ok(TcpListener::bind(far.ip.socket(family, 0))?))?;
    let (dst, source) = (listener.local_addr()?, FAR.at(node, family));
    let before = node.outcome("tcp_no_flow")?;
    let mut stream = node.netns().run(|| connect_from(source, dst))?;
    let (mut peer, from) = listener.accept()?;
    ensure!(from == source, "{from} came in place of {source}");
    stream.set_read_timeout(Some(PATIENCE))?;
    for i in 0..10 {
        peer.write_all(&[i])?;
        let mut read = [0];
        stream.read_exact(&mut read).context("an answer to the node's own connection")?;
        ensure!(read == [i]);
    }
    ensure!(node.outcome("tcp_no_flow")? == before, "the node's own packets were refused");
    Ok(())
}

fn connect_from(source: SocketAddr, dst: SocketAddr) -> Result<TcpStream> {
    block_on(async {
        let socket = if dst.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(source).with_context(|| format!("bind to {source}"))?;
        let connecting = tokio::time::timeout(PATIENCE, socket.connect(dst));
        let stream = connecting.await.context("no answer")?.context("connect")?.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    })
}
