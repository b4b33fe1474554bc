//! What the programs answer themselves: refusals and pings.

use std::net::{IpAddr, SocketAddr};

use svclb::plan::operation::Protocol::{self, Sctp, Tcp, Udp};
use svclb_common::{echo, outcome::Outcome};
use svclb_tests::{
    packet::{Extension, Field, Link, Packet, STATION, Seen, THIS_NODE, explain, flags},
    programs::{
        Action,
        Hook::{self, Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port, v4, v6},
    dropped, opening, right, segment, untouched,
};

/// How much of a packet an ICMP message quotes at most.
const QUOTE: usize = 504;

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

/// Runs a frame that must be answered; what the answer says.
fn answered(programs: &Programs, hook: Hook, frame: &[u8]) -> Seen {
    let (action, out) = programs.run(hook, frame);
    assert_eq!(action, Action::Back, "{:?}", right(frame));
    let seen = right(&out);
    assert_eq!(seen.macs, Some((THIS_NODE, STATION)), "back to the station that sent it");
    assert_eq!(seen.ttl, 64);
    seen
}

/// Checks the reset that answers a segment; the reset's numbers.
fn reset(programs: &Programs, frame: &[u8]) -> (u32, u32, u8) {
    let (asked, seen) = (right(frame), answered(programs, Ingress, frame));
    assert_eq!((seen.src, seen.dst, seen.protocol), (asked.dst, asked.src, 6));
    assert!(seen.payload.is_empty());
    let segment = seen.tcp.expect("a TCP header");
    (segment.seq, segment.ack, segment.flags)
}

/// Checks the message that answers a frame with `headers` bytes in front of its IP header.
fn unreachable(programs: &Programs, frame: &[u8]) {
    let (asked, seen) = (right(frame), answered(programs, Ingress, frame));
    let is_v4 = asked.src.is_ipv4();
    assert_eq!((seen.src.ip(), seen.dst.ip()), (asked.dst.ip(), asked.src.ip()));
    assert_eq!(seen.protocol, if is_v4 { 1 } else { 58 });
    let kind = if is_v4 { [3, 3] } else { [1, 4] };
    let quote = &frame[14..frame.len().min(14 + QUOTE)];
    assert_eq!((&seen.payload[..2], &seen.payload[4..8]), (&kind[..], &[0; 4][..]));
    assert_eq!(&seen.payload[8..], quote, "the packet is quoted as it came");
}

fn each_protocol(mut test: impl FnMut(&mut Programs, Addresses, Protocol)) {
    for addresses in families() {
        for protocol in [Tcp, Udp, Sctp] {
            test(&mut load(), addresses, protocol);
        }
    }
}

fn refused(programs: &Programs, protocol: Protocol, src: SocketAddr, dst: SocketAddr) {
    let frame = opening(protocol, src, dst);
    match protocol {
        Tcp => drop(reset(programs, &frame)),
        Udp | Sctp => unreachable(programs, &frame),
    }
}

#[test]
fn a_service_without_endpoints_is_refused_at_its_cluster_ip_and_node_port() {
    each_protocol(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[]);
        programs.node_port(a.node, protocol, &[]);
        refused(programs, protocol, a.client, a.vip);
        refused(programs, protocol, a.other_client, a.node);
        assert_eq!(programs.count(Outcome::NoEndpoint), 2);
        assert_eq!(programs.count(Outcome::Opened), 0);
    });
}

#[test]
fn an_unused_port_of_a_cluster_ip_is_refused() {
    each_protocol(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        refused(programs, protocol, a.client, port(a.vip, 4711));
        let other = if protocol == Tcp { Udp } else { Tcp };
        refused(programs, other, a.client, a.vip);
        assert_eq!(programs.count(Outcome::UnusedPort), 2);
    });
}

#[test]
fn other_ports_of_external_addresses_and_of_the_node_are_untouched() {
    each_protocol(|programs, a, protocol| {
        programs.external_ip(a.vip, protocol, &[(a.backends[0], true)]);
        programs.node_port(a.node, protocol, &[(a.backends[0], true)]);
        untouched(programs, Ingress, &opening(protocol, a.client, port(a.vip, 4711)));
        untouched(programs, Ingress, &opening(protocol, a.client, port(a.node, 4711)));
    });
}

/// A host's own DNS cache may listen on a ClusterIP.
#[test]
fn ports_of_a_cluster_ip_that_is_on_an_interface_are_left_to_it() {
    each_protocol(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        programs.node_address(a.vip.ip());
        untouched(programs, Ingress, &opening(protocol, a.client, port(a.vip, 4711)));
        untouched(programs, Ingress, &ping(a.client.ip(), a.vip.ip()));
    });
}

/// RFC 9293, section 3.10.7.1.
#[test]
fn a_reset_has_the_numbers_that_the_client_expects() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[]);
        let syn = Packet::tcp(a.client, a.vip).numbers(u32::MAX, 0).ethernet();
        assert_eq!(reset(&programs, &syn.clone().build()), (0, 0, flags::RST | flags::ACK));
        let early_data = syn.payload(b"hello").tcp_options(&[2, 4, 5, 180]).build();
        assert_eq!(reset(&programs, &early_data), (0, 5, flags::RST | flags::ACK));
        let odd = port(a.vip, 4711);
        let middle = Packet::tcp(a.client, odd).flags(flags::ACK).numbers(7, 4242).ethernet();
        assert_eq!(reset(&programs, &middle.build()), (4242, 0, flags::RST));
        let end = Packet::tcp(a.client, odd).flags(flags::FIN).numbers(7, 0).ethernet();
        assert_eq!(reset(&programs, &end.payload(b"x").build()), (0, 9, flags::RST | flags::ACK));
    }
}

#[test]
fn a_reset_is_never_answered() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[]);
        dropped(&programs, Ingress, &segment(a.client, port(a.vip, 4711), flags::RST));
        assert_eq!(programs.count(Outcome::Unanswerable), 1);
    }
}

#[test]
fn a_packet_of_nobody_or_to_many_is_not_answered() {
    let nobodies = ["0.0.0.0:9", "127.0.0.1:9", "224.0.0.1:9", "255.255.255.255:9"];
    let nobodies6 = ["[::]:9", "[::1]:9", "[ff02::1]:9"];
    for (a, sources) in [(v4(), &nobodies[..]), (v6(), &nobodies6[..])] {
        let mut programs = load();
        programs.cluster_ip(a.vip, Udp, &[]);
        for source in sources {
            let frame = opening(Udp, source.parse().expect("an address"), a.vip);
            dropped(&programs, Ingress, &frame);
        }
        let group = [0x01, 0, 0x5e, 0, 0, 1];
        let frame = Packet::udp(a.client, a.vip).macs(STATION, group).build();
        dropped(&programs, Ingress, &frame);
        assert_eq!(programs.count(Outcome::Unanswerable), sources.len() as u64 + 1);
    }
}

#[test]
fn a_message_quotes_options_extensions_and_the_beginning_of_long_packets() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Udp, &[]);
        for length in [0, 1, 2, 3, 5, 400, 472, 473, 476, 477, 1_400] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let datagram = Packet::udp(a.client, a.vip).payload(&payload).ethernet();
            unreachable(&programs, &datagram.clone().build());
            let with_more = if a.vip.is_ipv4() {
                datagram.ipv4_options(&[1; 8])
            } else {
                datagram.extension(Extension::hop_by_hop(1))
            };
            unreachable(&programs, &with_more.build());
        }
    }
}

/// What links add to short frames is not the packet's.
#[test]
fn padding_behind_a_packet_is_not_quoted() {
    let (a, mut programs) = (v4(), load());
    programs.cluster_ip(a.vip, Udp, &[]);
    let frame = Packet::udp(a.client, a.vip).payload(b"x").ethernet().build();
    let seen = answered(&programs, Ingress, &[&frame[..], &[0xee; 17]].concat());
    assert_eq!(&seen.payload[8..], &frame[14..]);
}

#[test]
fn messages_are_limited_and_what_is_over_is_counted() {
    let (a, mut programs) = (v4(), load());
    programs.cluster_ip(a.vip, Udp, &[]);
    programs.cluster_ip(a.other_vip, Tcp, &[]);
    programs.exhaust_messages();
    dropped(&programs, Ingress, &opening(Udp, a.client, a.vip));
    assert_eq!(programs.count(Outcome::AnswerLimited), 1);
    refused(&programs, Tcp, a.client, a.other_vip);
}

/// Processes of the node whose sockets were not served hear it, too.
#[test]
fn the_nodes_own_packets_are_refused_at_egress() {
    each_protocol(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[]);
        programs.node_address(a.node.ip());
        let seen = answered(programs, Egress, &opening(protocol, a.node, a.vip));
        assert_eq!((seen.src.ip(), seen.dst.ip()), (a.vip.ip(), a.node.ip()));
        assert_eq!(programs.count(Outcome::NoEndpoint), 1);
    });
}

#[test]
fn an_unallocated_address_inside_a_service_cidr_is_dropped() {
    let ranges = ["10.96.0.0/16", "fd00:10:96::/112"].map(|range| range.parse().expect("a range"));
    for (a, range) in families().into_iter().zip(ranges) {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        let (src, dst) = (a.client, a.other_vip);
        let frames = [
            opening(Tcp, src, dst),
            opening(Udp, src, dst),
            segment(src, dst, flags::ACK),
            ping(src.ip(), dst.ip()),
            Packet::protocol(132, src.ip(), dst.ip()).payload(&[0; 12]).ethernet().build(),
        ];
        frames.iter().for_each(|frame| untouched(&programs, Ingress, frame));
        programs.service_cidr(range);
        for hook in [Ingress, Egress] {
            frames.iter().for_each(|frame| dropped(&programs, hook, frame));
        }
        assert_eq!(programs.count(Outcome::Unallocated), 2 * frames.len() as u64);
        // An address of the node and one outside the range are somebody's.
        programs.node_address(dst.ip());
        untouched(&programs, Ingress, &frames[0]);
        untouched(&programs, Ingress, &opening(Tcp, src, a.stranger));
        refused(&programs, Udp, src, a.vip);
    }
}

fn ping(src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let kind = if src.is_ipv4() { 8 } else { 128 };
    Packet::icmp(src, dst, kind, 0).payload(b"how are you?").ttl(3).ethernet().build()
}

#[test]
fn ping_to_a_cluster_ip_is_answered() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[]);
        for hook in [Ingress, Egress] {
            let frame = ping(a.client.ip(), a.vip.ip());
            let (asked, seen) = (right(&frame), answered(&programs, hook, &frame));
            assert_eq!((seen.src, seen.dst), (asked.dst, asked.src));
            let kind = if a.vip.is_ipv4() { 0 } else { 129 };
            assert_eq!(seen.payload[..2], [kind, 0]);
            assert_eq!(seen.payload[4..], asked.payload[4..]);
        }
        assert_eq!(programs.count(Outcome::EchoAnswered), 2);
    }
}

#[test]
fn ping_with_options_or_a_wrong_checksum_is_answered_in_kind() {
    let (a, mut programs) = (v4(), load());
    programs.cluster_ip(a.vip, Tcp, &[]);
    let request = Packet::icmp(a.client.ip(), a.vip.ip(), 8, 0).payload(b"?").ethernet();
    let seen = answered(&programs, Ingress, &request.clone().ipv4_options(&[1; 4]).build());
    assert_eq!(seen.dst, port(a.client, 0));
    let wrong = request.set(Field::IcmpChecksum, 0x1234).build();
    let (action, out) = programs.run(Ingress, &wrong);
    assert_eq!(action, Action::Back);
    assert!(explain(&out, Link::Ethernet).is_err(), "a broken request does not become whole");
}

#[test]
fn ping_elsewhere_and_other_icmp_is_untouched() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[]);
        programs.external_ip(a.other_vip, Tcp, &[]);
        programs.node_address(a.node.ip());
        let (client, vip) = (a.client.ip(), a.vip.ip());
        for dst in [a.other_vip.ip(), a.node.ip(), a.stranger.ip()] {
            untouched(&programs, Ingress, &ping(client, dst));
        }
        let reply = if vip.is_ipv4() { 0 } else { 129 };
        for (kind, code) in [(reply, 0), (13, 0), (8 + 120 * u8::from(vip.is_ipv6()), 1)] {
            untouched(
                &programs,
                Ingress,
                &Packet::icmp(client, vip, kind, code).ethernet().build(),
            );
        }
    }
}

#[test]
fn ping_is_answered_by_the_mode() {
    for (mode, cluster_ip, external) in
        [(echo::OFF, false, false), (echo::CLUSTER_IPS, true, false), (echo::ALL, true, true)]
    {
        let a = v4();
        let mut programs = load_with_echo(mode);
        programs.cluster_ip(a.vip, Tcp, &[]);
        programs.external_ip(a.other_vip, Tcp, &[]);
        for (vip, expected) in [(a.vip, cluster_ip), (a.other_vip, external)] {
            let action = programs.run(Ingress, &ping(a.client.ip(), vip.ip())).0;
            assert_eq!(action == Action::Back, expected, "{vip} in mode {mode}");
        }
    }
}

fn load_with_echo(echo: u8) -> Programs {
    let options = svclb::loader::Options { echo, ..Programs::options() };
    Programs::load(options).expect("the programs load")
}
