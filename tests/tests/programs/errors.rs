//! ICMP errors: translated with the packet that they quote, every checksum right.
//!
//! What must come out is built from scratch: the whole error, quoting the whole packet as it must
//! look there, cut off where the quote is.

mod odd;
mod roles;

use std::net::{IpAddr, SocketAddr};

use svclb::plan::operation::Protocol::{self, Sctp, Tcp, Udp};
use svclb_common::outcome::Outcome;
use svclb_tests::{
    packet::Packet,
    programs::{
        Hook::{self, Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families},
    opening, pass, right,
};

/// One end of a packet and the other: source and destination.
type Ends = (SocketAddr, SocketAddr);

/// A flow and how its request looks on its way.
struct Flow {
    a: Addresses,
    protocol: Protocol,
    /// From the client to the frontend.
    received: Ends,
    /// From the client to the backend.
    between: Ends,
    /// From the node to the backend, if the flow is masqueraded.
    sent: Ends,
}

impl Flow {
    /// An outside client's, to a NodePort with an endpoint elsewhere: masqueraded.
    fn masqueraded(programs: &mut Programs, a: Addresses, protocol: Protocol) -> Self {
        programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
        Self::open(programs, a, protocol, (a.other_client, a.node))
    }

    /// A pod's, to a ClusterIP.
    fn plain(programs: &mut Programs, a: Addresses, protocol: Protocol) -> Self {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[2], false)]);
        Self::open(programs, a, protocol, (a.client, a.vip))
    }

    /// A backend's own to its ClusterIP, from the port that it serves at: the client's port is
    /// another between the hooks.
    fn hairpin(programs: &mut Programs, a: Addresses, protocol: Protocol) -> Self {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        programs.node_address(a.node.ip());
        Self::open(programs, a, protocol, (a.backends[0], a.vip))
    }

    fn open(programs: &Programs, a: Addresses, protocol: Protocol, received: Ends) -> Self {
        let ends = |hook, (src, dst): Ends| {
            let seen = pass(programs, hook, &opening(protocol, src, dst));
            (seen.src, seen.dst)
        };
        let between = ends(Ingress, received);
        let sent = ends(Egress, between);
        Self { a, protocol, received, between, sent }
    }

    /// A router's address, nobody's business.
    fn router(&self) -> IpAddr {
        self.a.stranger.ip()
    }
}

/// The other direction.
fn reversed((src, dst): Ends) -> Ends {
    (dst, src)
}

/// A packet to quote.
fn quoted(protocol: Protocol, (src, dst): Ends) -> Packet {
    let packet = match protocol {
        Tcp => Packet::tcp(src, dst).numbers(7, 11).tcp_options(&[2, 4, 5, 180]),
        Udp => Packet::udp(src, dst),
        Sctp => Packet::sctp(src, dst, 7),
    };
    packet.payload(b"what was on its way").ttl(1)
}

/// "Port unreachable" from `from` about a packet, to its source.
fn unreachable(from: IpAddr, about: &Packet, to: IpAddr) -> Packet {
    let (kind, code) = if from.is_ipv4() { (3, 3) } else { (1, 4) };
    message(from, to, (kind, code), &about.build())
}

/// An error of some kind that quotes these bytes. The four bytes in front of them are the next hop's
/// MTU, a pointer or unused.
fn message(from: IpAddr, to: IpAddr, (kind, code): (u8, u8), quote: &[u8]) -> Packet {
    Packet::icmp(from, to, kind, code).rest([0, 0, 5, 0]).payload(quote).ethernet()
}

/// Runs an error that must come out as another.
fn becomes(programs: &Programs, hook: Hook, error: &Packet, expected: &Packet) {
    let before = programs.count(Outcome::ErrorTranslated);
    let frame = error.build();
    pass(programs, hook, &frame);
    let out = programs.run(hook, &frame).1;
    assert_eq!(out, expected.build(), "{hook:?} {}\nbecame {}", right(&frame), right(&out));
    assert_eq!(programs.count(Outcome::ErrorTranslated), before + 2);
}

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

fn each(mut test: impl FnMut(&mut Programs, Addresses, Protocol)) {
    for addresses in families() {
        for protocol in [Tcp, Udp] {
            test(&mut load(), addresses, protocol);
        }
    }
}
