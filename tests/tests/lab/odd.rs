//! Packets that no network stack sends: svclb passes them on and goes on working.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Agent, Family, Wire},
    packet::{Extension, Field, Link, Packet, Seen, explain, flags},
    traffic::udp,
};

use crate::{
    client::{Asker, Source},
    scenario::Scenario,
    services::{FAR, NEAR, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("full_checksums_stay_right", full_checksums),
    Scenario::per_family("odd_packets_do_no_harm", odd_packets),
];

/// A pod's device as a wire, and the way to a service from there.
pub(crate) struct Way<'a> {
    pub(crate) asker: Asker<'a>,
    pub(crate) wire: Wire,
    gateway: [u8; 6],
}

impl<'a> Way<'a> {
    pub(crate) fn open(world: &'a World, pod: &'a str, family: Family) -> Result<Self> {
        let asker = world.asker(pod)?;
        let dst = WEB.cluster(family);
        asker.netns.run(|| udp::who(dst))?;
        let gateway = asker.netns.next_hop_mac(dst.ip())?;
        Ok(Self { asker, wire: Wire::open(asker.netns, "eth0")?, gateway })
    }

    pub(crate) fn send(&self, packet: &Packet) -> Result<()> {
        self.wire.send(&self.frame(packet))
    }

    fn frame(&self, packet: &Packet) -> Vec<u8> {
        packet.clone().macs(self.wire.mac(), self.gateway).build()
    }
}

/// Raw frames carry whole checksums, where sockets leave them to the device: what arrives after
/// two rewrites must verify, in both directions.
fn full_checksums(world: &mut World, family: Family) -> Result<()> {
    let ways = [Way::open(world, "web-1", family)?, Way::open(world, "web-3", family)?];
    for shape in shapes(family) {
        question_and_answer(&ways, FAR.cluster(family), &shape, Packet::udp, Packet::udp)?;
        let syn_ack = |src, dst| Packet::tcp(src, dst).flags(flags::SYN | flags::ACK);
        question_and_answer(&ways, FAR.cluster(family), &shape, Packet::tcp, syn_ack)?;
    }
    Ok(())
}

/// One packet from the first end to the frontend, and one back from the second end.
fn question_and_answer(
    [client, server]: &[Way<'_>; 2],
    frontend: SocketAddr,
    shape: &Shape,
    question: impl Fn(SocketAddr, SocketAddr) -> Packet,
    answer: impl Fn(SocketAddr, SocketAddr) -> Packet,
) -> Result<()> {
    let source = client.asker.fresh_source(frontend);
    let mark = format!("question of {source}");
    client.send(&shape(question(source, frontend).payload(mark.as_bytes())))?;
    let seen = arrival(&server.wire, &mark)?;
    ensure!(seen.src.ip() == source.ip(), "{mark} arrived as {seen}");
    ensure!(seen.payload == mark.as_bytes(), "{mark} arrived with another payload");

    // One byte more than the question: an odd length if that was even.
    let mark = format!("answers for {source}");
    server.send(&shape(answer(seen.dst, seen.src).payload(mark.as_bytes())))?;
    let seen = arrival(&client.wire, &mark)?;
    ensure!((seen.src, seen.dst) == (frontend, source), "{mark} arrived as {seen}");
    Ok(())
}

type Shape = fn(Packet) -> Packet;

fn shapes(family: Family) -> Vec<Shape> {
    match family {
        Family::V4 => vec![|packet| packet, |packet| packet.ttl(5).traffic_class(0xb8), |packet| {
            packet.ipv4_options(&[1, 1, 1, 0])
        }],
        Family::V6 => vec![
            |packet| packet,
            |packet| packet.ttl(5).traffic_class(0xb8),
            |packet| packet.extension(Extension::destination(3)),
            |packet| packet.extension(Extension::hop_by_hop(1)).extension(Extension::routing(0)),
        ],
    }
}

/// The first packet with `mark` that comes in, verified.
pub(crate) fn arrival(wire: &Wire, mark: &str) -> Result<Seen> {
    let frame = wire.receive(mark, Duration::from_secs(5), |frame| {
        let marked = frame.windows(mark.len()).any(|part| part == mark.as_bytes());
        marked.then(|| frame.to_vec())
    })?;
    explain(&frame, Link::Ethernet).with_context(|| format!("{mark} arrived as {frame:02x?}"))
}

fn odd_packets(world: &mut World, family: Family) -> Result<()> {
    /// What an operator must see of it.
    const COUNTED: [&str; 4] = ["truncated", "malformed", "fragment", "tcp_no_flow"];
    let counts = |world: &World| -> Result<Vec<u64>> {
        COUNTED.iter().map(|name| world.lab.node(1).outcome(name)).collect()
    };
    let before = counts(world)?;
    send_odd_packets(world, family)?;
    for ((name, before), now) in COUNTED.iter().zip(before).zip(counts(world)?) {
        ensure!(now > before, "{name} is not counted: {before}, {now}");
    }
    world.agents.iter_mut().try_for_each(Agent::must_run)?;
    let asker = world.asker("web-2")?;
    asker.asks(NEAR.cluster(family), NEAR.endpoints, Source::Kept)?;
    asker.asks(FAR.cluster(family), FAR.endpoints, Source::Kept)
}

fn send_odd_packets(world: &World, family: Family) -> Result<()> {
    let way = Way::open(world, "web-2", family)?;
    let targets = [
        WEB.cluster(family),
        WEB.at(world.lab.node(1), family),
        world.pod("web-1")?.socket(family),
    ];
    for dst in targets {
        let source = way.asker.fresh_source(dst);
        let (tcp, udp) = (Packet::tcp(source, dst), Packet::udp(source, dst));
        let packets = [
            wrong_headers(&tcp, &udp, family),
            wrong_lengths(&tcp, &udp, family),
            wrong_options(&tcp, &udp, family),
            every_flag(&way, dst),
            every_protocol(source.ip(), dst.ip()),
        ];
        packets.concat().iter().try_for_each(|packet| way.send(&packet.clone().payload(b"odd")))?;
        let frames = [
            cut_short(&way.frame(&with_options(&tcp, family))),
            cut_short(&way.frame(&with_options(&udp, family))),
            fragments(&udp.macs(way.wire.mac(), way.gateway)),
        ];
        frames.concat().iter().try_for_each(|frame| way.wire.send(frame))?;
    }
    Ok(())
}

fn with_options(packet: &Packet, family: Family) -> Packet {
    match family {
        Family::V4 => packet.clone().ipv4_options(&[1; 8]),
        Family::V6 => packet.clone().extension(Extension::destination(1)),
    }
}

/// Every beginning of a frame that has an Ethernet header.
fn cut_short(whole: &[u8]) -> Vec<Vec<u8>> {
    (14..whole.len()).map(|kept| whole[..kept].to_vec()).collect()
}

fn wrong_headers(tcp: &Packet, udp: &Packet, family: Family) -> Vec<Packet> {
    let mut packets = Vec::new();
    for value in 0..=15 {
        packets.push(tcp.clone().set(Field::TcpHeaderWords, value));
        packets.extend([tcp, udp].map(|packet| packet.clone().set(Field::Version, value)));
        if family == Family::V4 {
            packets.push(tcp.clone().set(Field::Ipv4HeaderWords, value));
        }
    }
    packets
}

fn wrong_lengths(tcp: &Packet, udp: &Packet, family: Family) -> Vec<Packet> {
    let length = match family {
        Family::V4 => Field::Ipv4TotalLength,
        Family::V6 => Field::Ipv6PayloadLength,
    };
    let mut packets = Vec::new();
    for value in [0, 1, 7, 8, 9, 19, 20, 21, 28, 39, 40, 41, 1_000, 0x7fff, 0xffff] {
        packets.extend([tcp, udp].map(|packet| packet.clone().set(length, value)));
        packets.push(udp.clone().set(Field::UdpLength, value));
        if family == Family::V4 {
            packets.push(udp.clone().set(Field::Ipv4Fragment, value));
        }
    }
    packets
}

/// Options that claim more than there is, or each other's bytes.
fn wrong_options(tcp: &Packet, udp: &Packet, family: Family) -> Vec<Packet> {
    let mut packets = Vec::new();
    for options in [&[7, 255, 4][..], &[131, 3, 200, 131, 40, 4], &[68, 0, 0], &[130; 40]] {
        packets.push(tcp.clone().tcp_options(options));
        if family == Family::V4 {
            packets.push(udp.clone().ipv4_options(options));
        }
    }
    packets
}

/// All without a flow, so that those in mid-stream are refused.
fn every_flag(way: &Way<'_>, dst: SocketAddr) -> Vec<Packet> {
    (0..=255).map(|flags| Packet::tcp(way.asker.fresh_source(dst), dst).flags(flags)).collect()
}

fn every_protocol(src: IpAddr, dst: IpAddr) -> Vec<Packet> {
    (0..=255).map(|number| Packet::protocol(number, src, dst)).collect()
}

/// Fragments in the wrong order, tiny ones, and some without their others.
fn fragments(udp: &Packet) -> Vec<Vec<u8>> {
    let udp = udp.clone().payload(&[0x66; 600]);
    let mut frames = udp.fragments(200);
    frames.reverse();
    frames.extend(udp.fragments(8));
    frames.push(udp.clone().fragment(8, true).build());
    frames.push(udp.fragment(0xfff8, false).build());
    frames
}
