//! Right packets: rewritten in both directions, every checksum right.

use std::collections::BTreeMap;

use svclb::plan::operation::Protocol::{self, Sctp, Tcp, Udp};
use svclb_common::outcome::Outcome;
use svclb_tests::{
    packet::{Extension, Packet, flags},
    programs::{
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port, v4, v6},
    answer, opening, pass, refused, reply_to, right, segment, untouched,
};

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

fn each(mut test: impl FnMut(&mut Programs, Addresses, Protocol)) {
    for addresses in families() {
        for protocol in [Tcp, Udp, Sctp] {
            test(&mut load(), addresses, protocol);
        }
    }
}

#[test]
fn a_cluster_ip_is_translated_both_ways() {
    each(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        let between = pass(programs, Ingress, &opening(protocol, a.client, a.vip));
        assert_eq!((between.src, between.dst), (a.client, a.backends[0]));
        let frame = opening(protocol, between.src, between.dst);
        untouched(programs, Egress, &frame);
        let reply = answer(protocol, a.backends[0], a.client);
        untouched(programs, Ingress, &reply);
        let seen = pass(programs, Egress, &reply);
        assert_eq!((seen.src, seen.dst), (a.vip, a.client));
    });
}

#[test]
fn an_outside_client_of_a_node_port_with_a_remote_endpoint_is_masqueraded() {
    each(|programs, a, protocol| {
        programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
        let between = pass(programs, Ingress, &opening(protocol, a.other_client, a.node));
        assert_eq!((between.src, between.dst), (a.other_client, a.backends[2]));
        let sent = pass(programs, Egress, &opening(protocol, between.src, between.dst));
        assert_eq!((sent.src.ip(), sent.dst), (a.node.ip(), a.backends[2]));
        assert!((10_240..30_000).contains(&sent.src.port()), "{}", sent.src);
        let back = pass(programs, Ingress, &reply_to(protocol, &sent));
        assert_eq!((back.src, back.dst), (a.backends[2], a.other_client));
        let seen = pass(programs, Egress, &answer(protocol, back.src, back.dst));
        assert_eq!((seen.src, seen.dst), (a.node, a.other_client));
    });
}

#[test]
fn the_client_address_is_kept_when_the_endpoint_is_on_this_node() {
    each(|programs, a, protocol| {
        programs.node_port(a.node, protocol, &[(a.backends[0], true)]);
        let between = pass(programs, Ingress, &opening(protocol, a.other_client, a.node));
        untouched(programs, Egress, &opening(protocol, between.src, between.dst));
        let seen = pass(programs, Egress, &answer(protocol, between.dst, between.src));
        assert_eq!((seen.src, seen.dst), (a.node, a.other_client));
    });
}

#[test]
fn a_hairpin_is_masqueraded() {
    each(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        programs.node_address(a.node.ip());
        let client = port(a.backends[0], 50_000);
        let between = pass(programs, Ingress, &opening(protocol, client, a.vip));
        assert_eq!((between.src, between.dst), (client, a.backends[0]));
        let sent = pass(programs, Egress, &opening(protocol, between.src, between.dst));
        assert_eq!((sent.src.ip(), sent.dst), (a.node.ip(), a.backends[0]));
        let back = pass(programs, Ingress, &reply_to(protocol, &sent));
        assert_eq!((back.src, back.dst), (a.backends[0], client));
        let seen = pass(programs, Egress, &answer(protocol, back.src, back.dst));
        assert_eq!((seen.src, seen.dst), (a.vip, client));
    });
}

#[test]
fn a_hairpin_from_the_serving_port_itself_keeps_its_direction() {
    each(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        programs.node_address(a.node.ip());
        let client = a.backends[0];
        let between = pass(programs, Ingress, &opening(protocol, client, a.vip));
        assert_eq!(between.dst, a.backends[0]);
        assert_ne!(between.src.port(), client.port(), "else the packet would be its own answer");
        let sent = pass(programs, Egress, &opening(protocol, between.src, between.dst));
        let back = pass(programs, Ingress, &reply_to(protocol, &sent));
        let seen = pass(programs, Egress, &answer(protocol, back.src, back.dst));
        assert_eq!((seen.src, seen.dst), (a.vip, client));
    });
}

#[test]
fn established_packets_keep_their_backend_when_the_endpoints_change() {
    for a in families() {
        let mut programs = load();
        let endpoints = a.backends.map(|backend| (backend, true));
        let placed = programs.cluster_ip(a.vip, Tcp, &endpoints);
        let first = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip)).dst;
        pass(&programs, Egress, &answer(Tcp, first, a.client));
        let others: Vec<usize> = (0..4).filter(|i| a.backends[*i] != first).collect();
        programs.switch(&placed, &others);
        for _ in 0..3 {
            let seen = pass(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
            assert_eq!(seen.dst, first);
        }
    }
}

/// Pearson's statistic; 16.27 is the 99.9 % point at 3 degrees of freedom.
#[test]
fn new_flows_are_spread_fairly() {
    for a in families() {
        let mut options = Programs::options();
        options.sizes.flows = 16_384;
        let mut programs = Programs::load(options).expect("the programs load");
        programs.cluster_ip(a.vip, Tcp, &a.backends.map(|backend| (backend, true)));
        let mut shares: BTreeMap<_, f64> = BTreeMap::new();
        for i in 0..10_000 {
            let client = port(a.client, 1024 + i);
            let seen = pass(&programs, Ingress, &opening(Tcp, client, a.vip));
            *shares.entry(seen.dst).or_default() += 1.0;
        }
        assert_eq!(shares.len(), 4);
        let chi2: f64 = shares.values().map(|n| (n - 2500.0) * (n - 2500.0) / 2500.0).sum();
        assert!(chi2 < 16.27, "{chi2}: {shares:?}");
    }
}

#[test]
fn ipv4_options_are_handled() {
    let (mut programs, a) = (load(), v4());
    programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
    for words in 1..=10 {
        let options = vec![1; words * 4];
        let frame = Packet::udp(a.client, a.vip).ipv4_options(&options).payload(b"x");
        assert_eq!(pass(&programs, Ingress, &frame.ethernet().build()).dst, a.backends[0]);
    }
}

#[test]
fn ipv6_extension_headers_are_walked() {
    let (mut programs, a) = (load(), v6());
    programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
    let chains: [&[Extension]; 4] = [
        &[Extension::hop_by_hop(0)],
        &[Extension::hop_by_hop(0), Extension::destination(3)],
        &[Extension::routing(0), Extension::destination(0)],
        &[Extension::fragment(0, false, 7)],
    ];
    for chain in chains {
        let packet = Packet::udp(a.client, a.vip).payload(b"x").ethernet();
        let packet = chain.iter().fold(packet, |packet, header| packet.extension(header.clone()));
        let seen = pass(&programs, Ingress, &packet.build());
        assert_eq!(seen.dst, a.backends[0], "{chain:?}");
    }
}

#[test]
fn a_udp_checksum_of_zero_stays_zero_over_ipv4() {
    let (mut programs, a) = (load(), v4());
    programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
    let frame = Packet::udp(a.client, a.vip).no_checksum().payload(b"x").ethernet().build();
    let (_, out) = programs.run(Ingress, &frame);
    assert_eq!(right(&out).dst, a.backends[0]);
    assert_eq!(out[40..42], [0, 0]);
}

#[test]
fn tcp_and_udp_on_one_port_are_two_frontends() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        programs.cluster_ip(a.vip, Udp, &[(a.backends[1], true)]);
        let tcp = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
        let udp = pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        assert_eq!((tcp.dst, udp.dst), (a.backends[0], a.backends[1]));
    }
}

#[test]
fn a_node_port_answers_at_the_nodes_addresses_only() {
    each(|programs, a, protocol| {
        programs.node_port(a.node, protocol, &[(a.backends[0], true)]);
        programs.cluster_ip(a.vip, protocol, &[(a.backends[1], true)]);
        let elsewhere = port(a.vip, a.node.port());
        refused(programs, Ingress, &opening(protocol, a.other_client, elsewhere));
        assert_eq!(programs.count(Outcome::UnusedPort), 1);
        let other_port = port(a.node, 22);
        untouched(programs, Ingress, &opening(protocol, a.other_client, other_port));
    });
}

/// The node, or netfilter's masquerade in its name, may use a port that is also a NodePort.
#[test]
fn an_answer_to_the_node_is_no_request_to_a_node_port() {
    each(|programs, a, protocol| {
        programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
        untouched(programs, Egress, &opening(protocol, a.node, a.backends[2]));
        untouched(programs, Ingress, &answer(protocol, a.backends[2], a.node));
        assert_eq!(programs.count(Outcome::Opened), 0);
        // A pod that is a backend itself is a client like any other.
        let pod = port(a.backends[2], 45_000);
        let seen = pass(programs, Ingress, &opening(protocol, pod, a.node));
        assert_eq!(seen.dst, a.backends[2]);
    });
}

/// The other way round: svclb takes no port that a connection in the node's name has.
#[test]
fn a_port_of_the_nodes_own_connection_is_not_taken() {
    each(|programs, a, protocol| {
        programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
        let open = |programs: &Programs, client| {
            pass(programs, Ingress, &opening(protocol, client, a.node));
            let between = opening(protocol, client, a.backends[2]);
            pass(programs, Egress, &between).src.port()
        };
        let first = open(programs, port(a.other_client, 40_001));
        let taken = port(a.node, first + 1);
        untouched(programs, Egress, &opening(protocol, taken, a.backends[2]));
        assert_eq!(open(programs, port(a.other_client, 40_002)), first + 2);
    });
}

#[test]
fn what_is_no_services_business_is_untouched() {
    each(|programs, a, protocol| {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        for hook in [Ingress, Egress] {
            for (src, dst) in [(a.client, a.stranger), (a.stranger, a.client)] {
                untouched(programs, hook, &opening(protocol, src, dst));
            }
            // Straight to a backend, and its answer.
            untouched(programs, hook, &opening(protocol, a.stranger, a.backends[0]));
            untouched(programs, hook, &answer(protocol, a.backends[0], a.stranger));
        }
        assert_eq!(programs.count(Outcome::Opened), 0);
    });
}
