//! Traffic policies and source ranges.

use std::net::{IpAddr, SocketAddr};

use svclb::plan::operation::{
    FrontendAddress,
    Protocol::{self, Tcp, Udp},
};
use svclb_common::{
    frontend::frontend_flags::{EXTERNAL, GUARDED, LOCAL},
    outcome::Outcome,
};
use svclb_tests::programs::{
    Action,
    Hook::{Egress, Ingress},
    Placed, Programs, Sets,
};

use crate::{
    addresses::{Addresses, families, port},
    answer, dropped, opening, pass, untouched,
};

/// Two endpoints on this node, two elsewhere.
const LOCAL_ENDPOINTS: [usize; 2] = [0, 1];
const ALL: [usize; 4] = [0, 1, 2, 3];
/// So many flows that a fair choice leaves none of four endpoints out.
const FLOWS: u16 = 100;

fn each(mut test: impl FnMut(&mut Programs, Addresses, Protocol)) {
    for addresses in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = Programs::load(Programs::options()).expect("the programs load");
            test(&mut programs, addresses, protocol);
        }
    }
}

/// A service with a ClusterIP at `vip`, whose external address is `other_vip` with `flags`.
fn service(programs: &mut Programs, a: &Addresses, protocol: Protocol, flags: u32) -> Placed {
    let endpoints = [0, 1, 2, 3].map(|i| (a.backends[i], LOCAL_ENDPOINTS.contains(&i)));
    let placed = programs.cluster_ip(a.vip, protocol, &endpoints);
    programs.set(&placed, Sets { cluster: &ALL, local: &LOCAL_ENDPOINTS, affinity: 0 });
    let external = FrontendAddress::Address(a.other_vip, protocol);
    programs.add_frontend(&placed, external, EXTERNAL | flags);
    programs.pods(prefix(a.client.ip()));
    placed
}

/// The network of a pod's address, or of an outside client's.
fn prefix(ip: IpAddr) -> ipnet::IpNet {
    let bits = if ip.is_ipv4() { 24 } else { 64 };
    ipnet::IpNet::new(ip, bits).expect("a prefix").trunc()
}

/// The endpoints that serve the client's flows from many ports, by number.
fn served_by(
    programs: &Programs,
    a: &Addresses,
    protocol: Protocol,
    client: SocketAddr,
    asked: SocketAddr,
) -> Vec<usize> {
    let chosen = (0..FLOWS).map(|i| {
        let client = port(client, 20_000 + i);
        pass(programs, Ingress, &opening(protocol, client, asked)).dst
    });
    let chosen: Vec<_> = chosen.collect();
    ALL.into_iter().filter(|i| chosen.contains(&a.backends[*i])).collect()
}

#[test]
fn internal_policy_local_serves_by_endpoints_of_this_node() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, 0);
        let served = |programs: &_, client| served_by(programs, &a, protocol, client, a.vip);
        assert_eq!(served(programs, a.client), ALL);
        programs.add_frontend(&placed, FrontendAddress::Address(a.vip, protocol), LOCAL);
        let moved = port(a.client, 1);
        assert_eq!(served(programs, SocketAddr::new(next(moved.ip()), 0)), LOCAL_ENDPOINTS);
        assert_eq!(served(programs, a.other_client), LOCAL_ENDPOINTS, "a client outside too");
    });
}

/// Another address of the same network.
fn next(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => std::net::Ipv4Addr::from_bits(ip.to_bits() + 1).into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from_bits(ip.to_bits() + 1).into(),
    }
}

#[test]
fn internal_policy_local_none_local_drops() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, 0);
        programs.add_frontend(&placed, FrontendAddress::Address(a.vip, protocol), LOCAL);
        programs.set(&placed, Sets { cluster: &[2, 3], ..Sets::default() });
        for client in [a.client, a.other_client] {
            dropped(programs, Ingress, &opening(protocol, client, a.vip));
        }
        assert_eq!(programs.count(Outcome::NoLocalEndpoint), 2);
        assert_eq!(programs.count(Outcome::Opened), 0);
    });
}

/// Where nobody serves anywhere, the policy is not why.
#[test]
fn no_endpoint_anywhere_is_not_the_policys_fault() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, LOCAL);
        programs.add_frontend(&placed, FrontendAddress::Address(a.vip, protocol), LOCAL);
        programs.set(&placed, Sets::default());
        for asked in [a.vip, a.other_vip] {
            programs.run(Ingress, &opening(protocol, a.other_client, asked));
        }
        assert_eq!(programs.count(Outcome::NoEndpoint), 2);
        assert_eq!(programs.count(Outcome::NoLocalEndpoint), 0);
    });
}

#[test]
fn external_policy_local_serves_outside_clients_by_endpoints_of_this_node() {
    each(|programs, a, protocol| {
        service(programs, &a, protocol, LOCAL);
        let served = served_by(programs, &a, protocol, a.other_client, a.other_vip);
        assert_eq!(served, LOCAL_ENDPOINTS);
        let served = served_by(programs, &a, protocol, a.other_client, a.vip);
        assert_eq!(served, ALL, "at the ClusterIP, the internal policy counts");
    });
}

#[test]
fn external_policy_local_keeps_the_client_address() {
    each(|programs, a, protocol| {
        service(programs, &a, protocol, LOCAL);
        programs.node_address(a.node.ip());
        let between = pass(programs, Ingress, &opening(protocol, a.other_client, a.other_vip));
        assert_eq!(between.src, a.other_client);
        untouched(programs, Egress, &opening(protocol, between.src, between.dst));
        let seen = pass(programs, Egress, &answer(protocol, between.dst, between.src));
        assert_eq!((seen.src, seen.dst), (a.other_vip, a.other_client));
    });
}

#[test]
fn external_policy_local_none_local_drops_clients_from_outside() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, LOCAL);
        programs.set(&placed, Sets { cluster: &[2, 3], ..Sets::default() });
        dropped(programs, Ingress, &opening(protocol, a.other_client, a.other_vip));
        assert_eq!(programs.count(Outcome::NoLocalEndpoint), 1);
        assert_eq!(programs.count(Outcome::Opened), 0);
    });
}

#[test]
fn external_policy_local_a_pod_of_this_node_is_served_by_the_cluster_set() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, LOCAL);
        assert_eq!(served_by(programs, &a, protocol, a.client, a.other_vip), ALL);
        programs.set(&placed, Sets { cluster: &[2], ..Sets::default() });
        let pod = SocketAddr::new(next(a.client.ip()), 50_000);
        let between = pass(programs, Ingress, &opening(protocol, pod, a.other_vip));
        assert_eq!((between.src, between.dst), (pod, a.backends[2]));
        // The answer comes to this node by itself, where the pod is.
        untouched(programs, Egress, &opening(protocol, between.src, between.dst));
    });
}

#[test]
fn an_endpoint_of_the_local_set_alone_never_serves_the_cluster() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, LOCAL);
        programs.set(&placed, Sets { cluster: &[1, 2], local: &[0], affinity: 0 });
        let served = served_by(programs, &a, protocol, a.other_client, a.other_vip);
        assert_eq!(served, [0]);
        assert_eq!(served_by(programs, &a, protocol, a.client, a.other_vip), [1, 2]);
        assert_eq!(served_by(programs, &a, protocol, a.other_client, a.vip), [1, 2]);
    });
}

#[test]
fn a_client_outside_the_source_ranges_is_dropped_before_any_rewrite() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, GUARDED);
        programs.admit(&placed, prefix(a.stranger.ip()));
        let frame = opening(protocol, a.other_client, a.other_vip);
        assert_eq!(programs.run(Ingress, &frame), (Action::Drop, frame));
        assert_eq!(programs.count(Outcome::SourceRange), 1);
        assert_eq!(programs.count(Outcome::Opened), 0);
        pass(programs, Ingress, &opening(protocol, a.stranger, a.other_vip));
        assert_eq!(programs.count(Outcome::Opened), 1);
    });
}

#[test]
fn source_ranges_hold_for_clients_inside_the_cluster_too() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, GUARDED | LOCAL);
        programs.admit(&placed, prefix(a.stranger.ip()));
        dropped(programs, Ingress, &opening(protocol, a.client, a.other_vip));
        assert_eq!(programs.count(Outcome::SourceRange), 1);
        programs.admit(&placed, prefix(a.client.ip()));
        pass(programs, Ingress, &opening(protocol, a.client, a.other_vip));
    });
}

#[test]
fn source_ranges_are_of_load_balancer_addresses_only() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, GUARDED);
        programs.admit(&placed, prefix(a.stranger.ip()));
        let node = port(a.node, 30_080);
        programs.node_address(node.ip());
        let family = svclb::plan::operation::Family::of(node.ip());
        let at_node = FrontendAddress::NodePort(family, node.port(), protocol);
        programs.add_frontend(&placed, at_node, EXTERNAL);
        for asked in [a.vip, node] {
            pass(programs, Ingress, &opening(protocol, a.other_client, asked));
        }
        assert_eq!(programs.count(Outcome::SourceRange), 0);
    });
}

/// The ranges of one service say nothing about another.
#[test]
fn source_ranges_are_each_services_own() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, GUARDED);
        let other = programs.cluster_ip(port(a.vip, 81), protocol, &[(a.backends[0], true)]);
        programs.admit(&other, prefix(a.other_client.ip()));
        programs.admit(&placed, prefix(a.stranger.ip()));
        dropped(programs, Ingress, &opening(protocol, a.other_client, a.other_vip));
    });
}

/// The agent lists the address itself where an address of this node is in the ranges.
#[test]
fn a_listed_node_address_admits_the_load_balancer_address_as_a_source() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, GUARDED);
        programs.admit(&placed, prefix(a.node.ip()));
        let itself = port(a.other_vip, 50_000);
        // From a process of the node whose socket was not given a backend: only egress sees it.
        dropped(programs, Egress, &opening(protocol, itself, a.other_vip));
        assert_eq!(programs.count(Outcome::SourceRange), 1);
        programs.admit(&placed, a.other_vip.ip().into());
        untouched(programs, Egress, &opening(protocol, itself, a.other_vip));
        let between = pass(programs, Ingress, &opening(protocol, itself, a.other_vip));
        assert!(a.backends.contains(&between.dst));
    });
}

#[test]
fn a_process_of_the_node_is_held_to_policies_at_egress() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol, LOCAL);
        programs.add_frontend(&placed, FrontendAddress::Address(a.vip, protocol), LOCAL);
        let node = port(a.node, 50_000);
        untouched(programs, Egress, &opening(protocol, node, a.vip));
        programs.set(&placed, Sets { cluster: &[2, 3], ..Sets::default() });
        untouched(programs, Egress, &opening(protocol, node, a.other_vip));
        dropped(programs, Egress, &opening(protocol, node, a.vip));
        assert_eq!(programs.count(Outcome::NoLocalEndpoint), 1);
    });
}
