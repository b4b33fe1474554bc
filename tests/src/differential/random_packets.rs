//! Random packets: new ones, and such as belong to what went before.

use std::{collections::VecDeque, net::SocketAddr};

use fastrand::Rng;

use super::{
    script::{ErrorShape, Shape, Shot, is_ingress},
    world::{CLIENT_PORTS, MASQUERADE_PORTS, SERVING, World},
};
use crate::{
    model::{Hook, Place, Protocol, Tables, Tuple},
    packet::{Field, flags, sctp::kind},
};

/// The devices' interface indices: where clients are, and where endpoints are.
pub(super) const DEVICES: [u32; 2] = [2, 3];
/// How many packets are remembered.
const MEMORY: usize = 32;

/// Packets that went on, as they left their hooks.
#[derive(Default)]
pub(super) struct Traffic {
    recent: VecDeque<(Shot, Tuple)>,
}

impl Traffic {
    /// Remembers what became of a packet.
    pub(super) fn remember(&mut self, shot: &Shot, after: Option<Tuple>) {
        let Some(after) = after else { return };
        if self.recent.len() == MEMORY {
            self.recent.pop_front();
        }
        self.recent.push_back((shot.clone(), after));
    }

    /// The next packet.
    pub(super) fn next(&self, rng: &mut Rng, tables: &Tables) -> Shot {
        let world = World::new(rng.bool());
        if rng.u8(0..10) == 0 {
            return self.error(rng, &world);
        }
        let last = self.recent.back().filter(|(shot, _)| is_ingress(shot));
        let (hook, tuple) = match (rng.u32(0..100), last) {
            // A packet that was received is mostly sent on.
            (0..30, Some((_, after))) => (Hook::Egress, *after),
            (0..60, _) => self.follow(rng).unwrap_or_else(|| any(rng, &world)),
            (60..82, _) => asked(rng, &world, tables),
            (82..88, _) => straight(rng, &world),
            (88..95, _) => own(rng, &world),
            _ => any(rng, &world),
        };
        let device = DEVICES[usize::from(rng.u8(0..8) == 0)];
        let flags = match tuple.protocol {
            Protocol::Tcp => tcp_flags(rng),
            Protocol::Udp => 0,
            Protocol::Sctp => first_chunk(rng),
        };
        let shape = shape(rng, tuple);
        Shot { place: Place { hook, device }, tuple, flags, shape, error: None }
    }

    /// An error about a packet: about one that was seen, or what may answer it, or about anything.
    fn error(&self, rng: &mut Rng, world: &World) -> Shot {
        let seen = rng.choice(self.recent.iter()).map(|(shot, after)| {
            one(rng, &[shot.tuple, *after, shot.tuple.reversed(), after.reversed()])
        });
        let tuple = seen.filter(|_| rng.u8(0..8) != 0).unwrap_or_else(|| any(rng, world).1);
        let v4 = tuple.src.is_ipv4();
        let stranger = World::new(v4).stranger;
        let kinds: &[u8] = if v4 { &[3, 3, 11, 12, 5] } else { &[1, 2, 3, 4, 137] };
        let error = ErrorShape {
            from: one(rng, &[stranger, tuple.dst.ip()]),
            kind: one(rng, kinds),
            code: rng.u8(0..4),
            quotes: if rng.bool() { usize::MAX } else { rng.usize(0..90) },
        };
        let hook = one(rng, &[Hook::Ingress, Hook::Egress]);
        let device = one(rng, &[DEVICES[0], DEVICES[0], DEVICES[1]]);
        let (flags, shape) = (flags::SYN, shape(rng, tuple));
        Shot { place: Place { hook, device }, tuple, flags, shape, error: Some(error) }
    }

    /// A packet that has to do with one before: the same again, on its way out, or answered.
    fn follow(&self, rng: &mut Rng) -> Option<(Hook, Tuple)> {
        let (shot, after) = rng.choice(self.recent.iter())?;
        let (same, on, back) =
            ((shot.place.hook, shot.tuple), (Hook::Egress, *after), after.reversed());
        Some(match (rng.u8(0..8), shot.place.hook) {
            (0..3, _) => same,
            (3, _) => on,
            (4, _) | (_, Hook::Egress) => (Hook::Ingress, back),
            (_, Hook::Ingress) => (Hook::Egress, back),
        })
    }
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn protocol(rng: &mut Rng) -> Protocol {
    one(rng, &[Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
}

fn client(rng: &mut Rng, world: &World) -> SocketAddr {
    SocketAddr::new(one(rng, &world.askers()), one(rng, &CLIENT_PORTS))
}

fn endpoint(rng: &mut Rng, world: &World) -> SocketAddr {
    SocketAddr::new(one(rng, &world.endpoints).0, one(rng, &SERVING))
}

/// A client asks a frontend.
fn asked(rng: &mut Rng, world: &World, tables: &Tables) -> (Hook, Tuple) {
    let v4 = world.stranger.is_ipv4();
    let own = tables.frontends.keys().copied().filter(|(at, _)| at.is_ipv4() == v4);
    let node = one(rng, &world.node);
    let of_node = tables.node_ports.keys().filter(|(family, ..)| *family == v4);
    let of_node = of_node.map(|(_, port, protocol)| (SocketAddr::new(node, *port), *protocol));
    let all: Vec<_> = own.chain(of_node).collect();
    let none = (one(rng, &world.askable()), protocol(rng));
    let (dst, protocol) = rng.choice(all).unwrap_or(none);
    (Hook::Ingress, Tuple::new(protocol, client(rng, world), dst))
}

/// A client asks an endpoint itself.
fn straight(rng: &mut Rng, world: &World) -> (Hook, Tuple) {
    let (src, dst) = (client(rng, world), endpoint(rng, world));
    (Hook::Ingress, Tuple::new(protocol(rng), src, dst))
}

/// The node asks an endpoint, often with a port that svclb may have taken.
fn own(rng: &mut Rng, world: &World) -> (Hook, Tuple) {
    let (first, last) = MASQUERADE_PORTS;
    let taken = rng.u16(first..=last);
    let port = one(rng, &[taken, taken, taken, CLIENT_PORTS[0], CLIENT_PORTS[4]]);
    let src = SocketAddr::new(one(rng, &world.node), port);
    (Hook::Egress, Tuple::new(protocol(rng), src, endpoint(rng, world)))
}

/// Anybody asks anybody.
fn any(rng: &mut Rng, world: &World) -> (Hook, Tuple) {
    let stranger = SocketAddr::new(world.stranger, 443);
    let pick = |rng: &mut Rng| {
        let (client, endpoint) = (client(rng, world), endpoint(rng, world));
        let asked = one(rng, &world.askable());
        one(rng, &[client, endpoint, asked, stranger])
    };
    let (src, dst) = (pick(rng), pick(rng));
    (one(rng, &[Hook::Ingress, Hook::Egress]), Tuple::new(protocol(rng), src, dst))
}

fn tcp_flags(rng: &mut Rng) -> u8 {
    let (syn, ack, fin, rst) = (flags::SYN, flags::ACK, flags::FIN, flags::RST);
    match rng.u32(0..100) {
        0..50 => syn,
        50..70 => ack,
        70..80 => syn | ack,
        80..91 => fin | ack,
        91..97 => rst,
        _ => rng.u8(..),
    }
}

fn first_chunk(rng: &mut Rng) -> u8 {
    match rng.u32(0..100) {
        0..50 => kind::INIT,
        50..70 => kind::DATA,
        70..80 => kind::INIT_ACK,
        80..90 => one(rng, &[kind::SHUTDOWN, kind::SHUTDOWN_ACK, kind::SHUTDOWN_COMPLETE]),
        90..95 => kind::ABORT,
        _ => rng.u8(..16),
    }
}

/// Mostly nothing is odd.
fn shape(rng: &mut Rng, tuple: Tuple) -> Shape {
    let (v4, tcp) = (tuple.src.is_ipv4(), tuple.protocol == Protocol::Tcp);
    match rng.u32(0..100) {
        0..3 if !tcp => Shape::NoChecksum,
        3..6 if v4 => Shape::Options(rng.u8(1..=10)),
        // A test run takes no more than a page.
        3 => Shape::Extensions(rng.u8(1..=3), one(rng, &[24, 80])),
        4..6 => Shape::Extensions(rng.u8(1..=9), rng.u8(1..=3)),
        6 if !v4 => Shape::Atomic,
        7 => Shape::Fragment(rng.u16(0..8), rng.bool()),
        13..16 => Shape::Fragment(rng.u16(0..2), true),
        8 => Shape::Truncated(rng.u8(0..40)),
        9..11 => Shape::Padded(rng.u8(1..40)),
        11 => wrong(rng, v4, tuple.protocol),
        12 => Shape::Damaged((0..rng.u8(1..4)).map(|_| (rng.u16(..), rng.u8(..))).collect()),
        _ => Shape::Plain,
    }
}

fn wrong(rng: &mut Rng, v4: bool, protocol: Protocol) -> Shape {
    let network = if v4 {
        [Field::Ipv4TotalLength, Field::Ipv4HeaderWords, Field::Ipv4Checksum, Field::Ipv4Fragment]
    } else {
        [Field::Ipv6PayloadLength; 4]
    };
    let transport = match protocol {
        Protocol::Tcp => &[Field::TcpHeaderWords, Field::TcpChecksum][..],
        Protocol::Udp => &[Field::UdpLength, Field::UdpChecksum],
        Protocol::Sctp => &[Field::SctpTag, Field::SctpChunkLength, Field::SctpChecksumHigh],
    };
    let fields = [&network[..], transport, &[Field::Version]].concat();
    let value = if rng.bool() { rng.u16(0..24) } else { rng.u16(..) };
    Shape::Wrong(one(rng, &fields), value)
}
