//! Packets that no network stack sends: svclb passes them on and goes on working.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Wire},
    packet::{Extension, Field, Link, Packet, explain},
    traffic::udp,
};

use crate::{
    client::{Asker, Source},
    scenario::Scenario,
    services::{FAR, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("full_checksums_stay_right", full_checksums),
    Scenario::per_family("odd_packets_do_no_harm", odd_packets),
];

/// A pod's device as a wire, and the way to a service from there.
struct Way<'a> {
    asker: Asker<'a>,
    wire: Wire,
    gateway: [u8; 6],
}

impl<'a> Way<'a> {
    fn open(world: &'a World, pod: &'a str, family: Family) -> Result<Self> {
        let asker = world.asker(pod)?;
        let dst = WEB.cluster(family);
        asker.netns.run(|| udp::who(dst))?;
        let gateway = asker.netns.next_hop_mac(dst.ip())?;
        Ok(Self { asker, wire: Wire::open(asker.netns, "eth0")?, gateway })
    }

    fn send(&self, packet: &Packet) -> Result<()> {
        self.wire.send(&self.frame(packet))
    }

    fn frame(&self, packet: &Packet) -> Vec<u8> {
        packet.clone().macs(self.wire.mac(), self.gateway).build()
    }
}

/// Raw frames carry whole checksums, where sockets leave them to the device: what arrives after
/// two rewrites must verify, in both directions.
fn full_checksums(world: &mut World, family: Family) -> Result<()> {
    let (client, server) = (Way::open(world, "web-1", family)?, Way::open(world, "web-3", family)?);
    let frontend = FAR.cluster(family);
    for (i, shape) in shapes(family).into_iter().enumerate() {
        let source = client.asker.fresh_source(frontend);
        for (protocol, request) in
            [("UDP", Packet::udp(source, frontend)), ("TCP", Packet::tcp(source, frontend))]
        {
            let what = format!("{protocol} request {i}");
            let mark = format!("{what} of {source}");
            client.send(&shape(request.payload(mark.as_bytes())))?;
            let seen = arrival(&server.wire, &what, &mark)?;
            ensure!(seen.src.ip() == source.ip(), "{what} arrived as {seen}");
            ensure!(seen.payload == mark.as_bytes(), "{what}: another payload");

            let what = format!("{protocol} reply {i}");
            let mark = format!("{what} to {source}!");
            let reply = if protocol == "UDP" {
                Packet::udp(seen.dst, seen.src)
            } else {
                Packet::tcp(seen.dst, seen.src).flags(0x12).numbers(1, 1_001)
            };
            server.send(&shape(reply.payload(mark.as_bytes())))?;
            let seen = arrival(&client.wire, &what, &mark)?;
            ensure!((seen.src, seen.dst) == (frontend, source), "{what} arrived as {seen}");
        }
    }
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

/// The first right packet with `mark` that comes in.
fn arrival(wire: &Wire, what: &str, mark: &str) -> Result<svclb_tests::packet::Seen> {
    let frame = wire.receive(what, Duration::from_secs(5), |frame| {
        let marked = frame.windows(mark.len()).any(|part| part == mark.as_bytes());
        marked.then(|| frame.to_vec())
    })?;
    explain(&frame, Link::Ethernet).with_context(|| format!("{what} arrived as {frame:02x?}"))
}

fn odd_packets(world: &mut World, family: Family) -> Result<()> {
    let way = Way::open(world, "web-2", family)?;
    let targets = [
        WEB.cluster(family),
        WEB.at(world.lab.node(1), family),
        world.pod("web-1")?.socket(family),
    ];
    for dst in targets {
        let source = way.asker.fresh_source(dst);
        let (tcp, udp) = (Packet::tcp(source, dst), Packet::udp(source, dst));
        let frames = [&tcp, &udp].into_iter().flat_map(|packet| cut_short(&way, packet, family));
        let frames = frames.chain(wrong_fields(&way, &tcp, &udp, family));
        let frames = frames.chain(every_protocol(&way, source.ip(), dst.ip()));
        let frames = frames.chain(fragments(&way, &udp));
        frames.into_iter().try_for_each(|frame| way.wire.send(&frame))?;
    }
    for agent in &mut world.agents {
        agent.must_run()?;
    }
    let asker = world.asker("web-2")?;
    asker.asks(WEB.cluster(family), WEB.endpoints, Source::Kept).or_else(|_| {
        // Chosen itself: masqueraded.
        asker.asks(FAR.cluster(family), FAR.endpoints, Source::Kept)
    })
}

/// Every beginning of a frame that has an Ethernet header.
fn cut_short(way: &Way<'_>, packet: &Packet, family: Family) -> Vec<Vec<u8>> {
    let packet = match family {
        Family::V4 => packet.clone().ipv4_options(&[1; 8]),
        Family::V6 => packet.clone().extension(Extension::destination(1)),
    };
    let whole = way.frame(&packet.payload(b"data"));
    (14..whole.len()).map(|kept| whole[..kept].to_vec()).collect()
}

fn wrong_fields(way: &Way<'_>, tcp: &Packet, udp: &Packet, family: Family) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for value in [0, 1, 4, 5, 6, 7, 8, 14, 15] {
        for field in [Field::Version, Field::TcpHeaderWords, Field::UdpLength] {
            packets.extend([tcp, udp].map(|packet| packet.clone().set(field, value)));
        }
        if family == Family::V4 {
            packets.push(tcp.clone().set(Field::Ipv4HeaderWords, value));
        }
    }
    for value in [0, 1, 19, 20, 21, 39, 40, 41, 1_000, 0x7fff, 0xffff] {
        let length = match family {
            Family::V4 => Field::Ipv4TotalLength,
            Family::V6 => Field::Ipv6PayloadLength,
        };
        packets.extend([tcp, udp].map(|packet| packet.clone().set(length, value)));
        packets.push(udp.clone().set(Field::UdpLength, value));
        if family == Family::V4 {
            packets.push(udp.clone().set(Field::Ipv4Fragment, value));
        }
    }
    // Options that claim more than there is, or each other's bytes.
    for options in [&[7, 255, 4][..], &[131, 3, 200, 131, 40, 4], &[68, 0, 0], &[130; 40]] {
        packets.push(tcp.clone().tcp_options(options));
        if family == Family::V4 {
            packets.push(udp.clone().ipv4_options(options));
        }
    }
    for flags in 0..=255 {
        packets.push(tcp.clone().flags(flags));
    }
    packets.iter().map(|packet| way.frame(&packet.clone().payload(b"odd"))).collect()
}

fn every_protocol(way: &Way<'_>, src: std::net::IpAddr, dst: std::net::IpAddr) -> Vec<Vec<u8>> {
    let packet = |number| Packet::protocol(number, src, dst).payload(&[0x5a; 40]);
    (0..=255).map(|number| way.frame(&packet(number))).collect()
}

fn fragments(way: &Way<'_>, udp: &Packet) -> Vec<Vec<u8>> {
    let udp = udp.clone().payload(&[0x66; 600]).macs(way.wire.mac(), way.gateway);
    let mut frames = udp.fragments(200);
    frames.reverse();
    frames.extend(udp.fragments(8));
    frames.push(udp.clone().fragment(8, true).build());
    frames.push(udp.fragment(0xfff8, false).build());
    frames
}
