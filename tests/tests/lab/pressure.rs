//! Floods of five times the flow table against connections in use.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use svclb_tests::{
    lab::{Dual, Family, Netns, NftTable, Node, SOON, Wire, wait_for},
    packet::{Packet, flags},
    traffic::{http, udp},
};

use crate::{
    ends::Held,
    life::nothing_left,
    scenario::Scenario,
    services::{FAR, NEAR},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("a_syn_flood_loses_no_connection", syn_flood).few(),
    Scenario::per_family("a_udp_flood_loses_no_connection", udp_flood).few(),
];

/// Flows that fit.
const TABLE: u16 = 2048;
/// Packets of a flood at least, each from a port of its own.
const FLOOD: u16 = 5 * TABLE;
/// Addresses that a flood comes from, and ports of each.
const HOSTS: u32 = 50;
const PORTS: u32 = 60_000;
/// Connections in use: from a pod, from outside, and outside's streams of datagrams.
const LIVE: [usize; 3] = [500, 400, 100];

fn syn_flood(world: &mut World, family: Family) -> Result<()> {
    let syn = |src, dst| Packet::tcp(src, dst).flags(flags::SYN);
    in_a_small_table(world, |world| withstands(world, family, syn))
}

fn udp_flood(world: &mut World, family: Family) -> Result<()> {
    let question = |src, dst| Packet::udp(src, dst).payload(&[0x66; 100]);
    in_a_small_table(world, |world| withstands(world, family, question))
}

/// Runs `f` with a small flow table on node 1.
fn in_a_small_table(world: &mut World, f: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let run = |world: &World| -> Result<()> {
        unload(world.lab.node(1))?;
        let agent = world.start_agent_with(1, &["--max-flows", &TABLE.to_string()])?;
        let done = f(world);
        agent.terminate()?;
        unload(world.lab.node(1))?;
        done
    };
    world.agents.remove(0).terminate()?;
    let done = run(world);
    let agent = world.start_agent(1)?;
    world.agents.insert(0, agent);
    done
}

fn unload(node: &Node) -> Result<()> {
    node.svclb(&["unload"])?;
    nothing_left(node)
}

fn withstands(
    world: &World,
    family: Family,
    packet: fn(SocketAddr, SocketAddr) -> Packet,
) -> Result<()> {
    let node = world.lab.node(1);
    let mut live = Live::open(world, family)?;
    live.asks().context("before the flood")?;
    let (streams, before) = (live.streams().context("before the flood")?, Made::of(node)?);
    let flood = Flood::new(world, family, packet)?;
    flood.meanwhile(|| {
        live.asks()?;
        newcomers(world, family)
    })?;
    live.asks().context("after the flood")?;
    let after = Made::of(node)?;
    let evicted = after.evicted - before.evicted;
    let expected = u64::from(FLOOD - TABLE);
    ensure!(evicted >= expected, "{evicted} flows made room, {expected} at least expected");
    let was = before.refused;
    ensure!(after.refused == was, "refused, by {REFUSALS:?}: {:?}, before: {was:?}", after.refused);
    let after = live.streams().context("after the flood")?;
    ensure!(after == streams, "streams were cut and began anew");
    wait_for("the agent to warn", SOON, || {
        node.agent_log(50).contains("the flow table is under pressure").then_some(())
    })
}

/// New connections get in. One may be pushed aside before it is confirmed, and tries again.
fn newcomers(world: &World, family: Family) -> Result<()> {
    let asker = world.asker("web-2")?;
    for i in 0..20 {
        asker.netns.run(|| {
            wait_for(&format!("new connection {i}"), SOON, || http::who(FAR.cluster(family)).ok())
        })?;
    }
    Ok(())
}

/// Connections in use.
struct Live<'a> {
    node: &'a Node,
    at_node: SocketAddr,
    connections: Vec<Held>,
    streams: Vec<udp::Client>,
}

impl<'a> Live<'a> {
    fn open(world: &'a World, family: Family) -> Result<Self> {
        let (node, client) = (world.lab.node(1), world.lab.external().netns());
        let at_node = FAR.at(node, family);
        let [from_pod, from_outside, streams] = LIVE;
        let open = |netns: &Netns, dst, count| -> Result<Vec<Held>> {
            (0..count).map(|_| Held::open(netns, dst)).collect()
        };
        let mut connections = open(world.asker("web-2")?.netns, FAR.cluster(family), from_pod)?;
        connections.extend(open(client, at_node, from_outside)?);
        let streams =
            client.run(|| (0..streams).map(|_| udp::Client::new(at_node, None)).collect())?;
        let mut live = Self { node, at_node, connections, streams };
        // The second question makes a stream of it.
        live.asks()?;
        Ok(live)
    }

    /// Every one is asked once.
    fn asks(&mut self) -> Result<()> {
        self.connections.iter_mut().try_for_each(Held::asks)?;
        self.streams.iter_mut().try_for_each(|stream| {
            let asked = (0..5).find_map(|_| stream.ask(udp::SMALLEST).ok());
            asked.map(drop).context("a stream's datagrams are lost")
        })
    }

    /// The masquerade addresses of the streams by their clients: a flow that begins anew gets
    /// another port.
    fn streams(&self) -> Result<BTreeMap<String, Value>> {
        let rows: Value = serde_json::from_str(&self.node.svclb(&["get", "flows", "-o", "json"])?)?;
        let rows = rows.as_array().context("no list of flows")?.iter();
        let own = rows.filter(|row| {
            let is = |field: &str, text: &str| row[field].as_str() == Some(text);
            is("protocol", "UDP")
                && is("frontend", &self.at_node.to_string())
                && is("state", "established")
        });
        let pair =
            |row: &Value| Some((row["client"].as_str()?.to_owned(), row["masquerade"].clone()));
        let streams: BTreeMap<_, _> = own.filter_map(pair).collect();
        let clients: Result<Vec<_>> = self.streams.iter().map(udp::Client::local).collect();
        for client in clients? {
            ensure!(streams.contains_key(&client.to_string()), "no established flow of {client}");
        }
        Ok(streams)
    }
}

/// Outcomes of new flows for which there is no room.
const REFUSALS: [&str; 2] = ["flow_table_full", "tuple_table_full"];

/// What the programs did for want of room.
struct Made {
    evicted: u64,
    /// By [`REFUSALS`].
    refused: Vec<u64>,
}

impl Made {
    fn of(node: &Node) -> Result<Self> {
        let evicted = ["opening_flow_evicted", "answered_flow_evicted"];
        Ok(Self {
            evicted: evicted.iter().map(|name| node.outcome(name)).sum::<Result<_>>()?,
            refused: REFUSALS.iter().map(|name| node.outcome(name)).collect::<Result<_>>()?,
        })
    }
}

/// Packets from addresses that nobody has, each from a port of its own, so that nobody goes on after
/// an answer.
struct Flood<'a> {
    wire: Wire,
    gateway: [u8; 6],
    dst: SocketAddr,
    nobody: Vec<IpAddr>,
    packet: fn(SocketAddr, SocketAddr) -> Packet,
    _untracked: NftTable<'a>,
}

impl<'a> Flood<'a> {
    fn new(
        world: &'a World,
        family: Family,
        packet: fn(SocketAddr, SocketAddr) -> Packet,
    ) -> Result<Self> {
        let node = world.lab.node(1);
        let (client, dst) = (world.lab.external(), NEAR.at(node, family));
        client.netns().run(|| udp::who(dst))?;
        let gateway = client.netns().next_hop_mac(dst.ip())?;
        let wire = Wire::open(client.netns(), "eth0")?;
        let nobody: Vec<_> =
            (0..HOSTS as u8).map(|host| nobody_near(client.ip, host).ip(family)).collect();
        let untracked = untracked(node.netns(), &nobody)?;
        Ok(Self { wire, gateway, dst, nobody, packet, _untracked: untracked })
    }

    /// A packet that was not sent before, or millions of packets ago: whoever asks again after an
    /// answer goes on.
    fn frame(&self, number: u32) -> Vec<u8> {
        let (host, port) = (number / PORTS % HOSTS, 1024 + number % PORTS);
        let src = SocketAddr::new(self.nobody[host as usize], port as u16);
        (self.packet)(src, self.dst).macs(self.wire.mac(), self.gateway).build()
    }

    /// Sends while `f` runs, and at least [`FLOOD`] packets.
    fn meanwhile(&self, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let sender = scope.spawn(|| self.send_until(&stop));
            let done = f();
            stop.store(true, Ordering::Relaxed);
            let sent = sender.join().map_err(|_| anyhow!("the flood panicked"))?;
            done.and(sent)
        })
    }

    fn send_until(&self, stop: &AtomicBool) -> Result<()> {
        let mut sent = 0;
        while sent < FLOOD.into() || !stop.load(Ordering::Relaxed) {
            self.wire.send(&self.frame(sent))?;
            sent += 1;
        }
        Ok(())
    }
}

/// Makes the kernel's connection tracking leave these addresses alone: a flood would fill its table,
/// and it drops what is new until the flood is forgotten.
fn untracked<'a>(netns: &'a Netns, addresses: &[IpAddr]) -> Result<NftTable<'a>> {
    let family = if addresses.iter().all(IpAddr::is_ipv4) { "ip" } else { "ip6" };
    let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let addresses = addresses.join(", ");
    netns.nft_table(
        "inet flood",
        &format!(
            "chain prerouting {{
               type filter hook prerouting priority raw;
               {family} saddr {{ {addresses} }} notrack
               {family} daddr {{ {addresses} }} notrack
             }}
            "
        ),
    )
}

/// One of [`HOSTS`] addresses beside a client's that no machine has.
fn nobody_near(client: Dual, host: u8) -> Dual {
    let (mut v4, mut v6) = (client.v4.octets(), client.v6.octets());
    (v4[3], v6[15]) = (200 + host, 200 + host);
    Dual { v4: v4.into(), v6: v6.into() }
}
