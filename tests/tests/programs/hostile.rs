//! Odd and broken packets: never rewritten, never lost without a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use svclb::plan::operation::Protocol::{Tcp, Udp};
use svclb_common::outcome::Outcome;
use svclb_tests::{
    packet::{Extension, Field, Packet},
    programs::{
        Action,
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, v4, v6},
    opening, right, untouched,
};

fn load(a: &Addresses) -> Programs {
    let mut programs = Programs::load(Programs::options()).expect("the programs load");
    programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
    programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
    programs
}

fn length(a: &Addresses) -> Field {
    if a.vip.is_ipv4() { Field::Ipv4TotalLength } else { Field::Ipv6PayloadLength }
}

/// Runs a packet that must pass untouched and be counted as `outcome`.
fn counted(programs: &mut Programs, packet: &Packet, outcome: Outcome) {
    let before = programs.count(outcome);
    untouched(programs, Ingress, &packet.clone().ethernet().build());
    assert_eq!(programs.count(outcome), before + 1, "{outcome:?}: {packet:?}");
}

#[test]
fn every_other_protocol_number_is_untouched() {
    for a in families() {
        let programs = load(&a);
        // Numbers that are IPv6 extension headers are parsed as such.
        let extensions = [0, 43, 44, 60];
        for protocol in (0..=255).filter(|p| ![6, 17].contains(p) && !extensions.contains(p)) {
            let packet = Packet::protocol(protocol, a.client.ip(), a.vip.ip()).payload(&[0; 40]);
            untouched(&programs, Ingress, &packet.ethernet().build());
        }
    }
}

#[test]
fn arp_and_ndp_for_a_service_are_untouched() {
    for a in families() {
        let programs = load(&a);
        let frame = match (a.client.ip(), a.vip.ip()) {
            (IpAddr::V4(client), IpAddr::V4(vip)) => arp_request(client, vip),
            (client, IpAddr::V6(vip)) => solicitation(client, vip),
            families => panic!("{families:?}"),
        };
        untouched(&programs, Ingress, &frame);
        untouched(&programs, Egress, &frame);
    }
}

/// Who has `wanted` (RFC 826).
fn arp_request(sender: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    const ETHERNET_IPV4_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let mut frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 6]].concat();
    frame.extend(ETHERNET_IPV4_REQUEST);
    frame.extend([&[2, 0, 0, 0, 0, 1][..], &sender.octets(), &[0; 6], &wanted.octets()].concat());
    frame.resize(60, 0);
    frame
}

/// The same of IPv6, asked of the address itself (RFC 4861, section 4.3).
fn solicitation(sender: IpAddr, wanted: Ipv6Addr) -> Vec<u8> {
    const NEIGHBOUR_SOLICITATION: u8 = 135;
    let packet = Packet::icmp(sender, wanted.into(), NEIGHBOUR_SOLICITATION, 0);
    packet.payload(&wanted.octets()).ethernet().build()
}

#[test]
fn wrong_lengths_are_untouched_and_counted() {
    for a in families() {
        let mut programs = load(&a);
        let (tcp, udp) = (Packet::tcp(a.client, a.vip), Packet::udp(a.client, a.vip));
        let udp = udp.payload(b"payload");
        let malformed = Outcome::Malformed;
        for (packet, field, value, outcome) in [
            (&tcp, Field::TcpHeaderWords, 4, malformed),
            (&tcp, Field::TcpHeaderWords, 15, malformed),
            (&udp, Field::UdpLength, 7, malformed),
            (&udp, Field::UdpLength, 0, malformed),
            (&udp, Field::UdpLength, 60_000, malformed),
            (&udp, length(&a), 60_000, Outcome::Truncated),
        ] {
            counted(&mut programs, &packet.clone().set(field, value), outcome);
        }
    }
}

#[test]
fn wrong_ipv4_headers_are_untouched_and_counted() {
    let a = v4();
    let mut programs = load(&a);
    let udp = Packet::udp(a.client, a.vip).payload(b"payload");
    for (field, value, outcome) in [
        (Field::Version, 5, Outcome::Malformed),
        (Field::Ipv4HeaderWords, 4, Outcome::Malformed),
        (Field::Ipv4HeaderWords, 15, Outcome::Malformed),
        (Field::Ipv4TotalLength, 19, Outcome::Malformed),
        (Field::Ipv4TotalLength, 0, Outcome::Malformed),
    ] {
        counted(&mut programs, &udp.clone().set(field, value), outcome);
    }
}

#[test]
fn truncated_frames_are_untouched() {
    for a in families() {
        for packet in [Packet::tcp(a.client, a.vip), Packet::udp(a.client, a.vip)] {
            let programs = load(&a);
            let whole = packet.payload(b"0123456789").ethernet().build();
            // The kernel's test run wants a whole network header; less is sent in the lab.
            let network = if a.vip.is_ipv4() { 20 } else { 40 };
            for len in 14 + network..whole.len() {
                untouched(&programs, Ingress, &whole[..len]);
                untouched(&programs, Egress, &whole[..len]);
            }
            assert_eq!(programs.count(Outcome::Opened), 0);
        }
    }
}

#[test]
fn extension_headers_that_must_not_be_passed_are_untouched_and_counted() {
    let a = v6();
    let mut programs = load(&a);
    let udp = || Packet::udp(a.client, a.vip).payload(b"x");
    counted(&mut programs, &udp().extension(Extension::routing(1)), Outcome::Extensions);
    let many = (0..9).fold(udp(), |packet, _| packet.extension(Extension::destination(0)));
    counted(&mut programs, &many, Outcome::Extensions);
    let long = (0..3).fold(udp(), |packet, _| packet.extension(Extension::destination(80)));
    counted(&mut programs, &long, Outcome::Extensions);
}

#[test]
fn vlan_tags_and_other_ethertypes_are_untouched() {
    let a = v4();
    let programs = load(&a);
    let udp = Packet::udp(a.client, a.vip).ethernet();
    untouched(&programs, Ingress, &udp.clone().ethertype(0x0806).build());
    untouched(&programs, Ingress, &udp.ethertype(0x88cc).build());
}

/// Random damage, from a fixed walk: whatever comes out is what went in, a right refusal, or a right
/// packet to a backend that was made from a right packet.
#[test]
fn random_damage_is_never_rewritten_into_something_else() {
    for a in families() {
        let mut programs = load(&a);
        let mut state = 0x5eed_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for round in 0..20_000 {
            let protocol = if round % 2 == 0 { Tcp } else { Udp };
            let mut frame = opening(protocol, a.client, a.vip);
            for _ in 0..=next() % 3 {
                let at = 14 + next() % (frame.len() - 14);
                frame[at] = next() as u8;
            }
            check(&mut programs, &a, &frame);
        }
    }
}

fn check(programs: &mut Programs, a: &Addresses, frame: &[u8]) {
    let (action, out) = programs.run(Ingress, frame);
    if action == Action::Drop || out == frame {
        return;
    }
    if action == Action::Back {
        // A refusal is made anew: nothing of the damage is in its headers.
        assert_eq!(right(&out).src.ip(), a.vip.ip());
        return;
    }
    // Rewritten. The checksums were kept as right or wrong as they were.
    let was_right = svclb_tests::packet::explain(frame, svclb_tests::packet::Link::Ethernet);
    if was_right.is_ok() {
        assert_eq!(right(&out).dst, a.backends[0]);
    }
    assert_eq!(out.len(), frame.len());
}
