//! Clients inside and outside the cluster, and where NodePorts answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use svclb::plan::operation::Protocol::{self, Tcp, Udp};
use svclb_common::frontend::{Device, device_flags, node_flags};
use svclb_tests::programs::{
    Hook::{Egress, Ingress},
    Programs,
};

use crate::{
    addresses::{Addresses, families},
    answer, opening, pass, reply_to, right, untouched,
};

const VETH: u32 = 1;

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

/// All addresses of the family.
fn everybody(ip: IpAddr) -> IpNet {
    let any =
        if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    IpNet::new(any, 0).expect("no bit is no bit too many")
}

/// A ClusterIP with an endpoint here or elsewhere, on a node with an address.
fn world(a: &Addresses, protocol: Protocol, local: bool) -> Programs {
    world_with(load(), a, protocol, local)
}

fn world_with(mut programs: Programs, a: &Addresses, protocol: Protocol, local: bool) -> Programs {
    programs.cluster_ip(a.vip, protocol, &[(a.backends[0], local)]);
    programs.node_address(a.node.ip());
    programs
}

/// The source address that the endpoint sees of a client; the answer finds its way back.
fn seen(programs: &Programs, a: &Addresses, protocol: Protocol, client: SocketAddr) -> IpAddr {
    let between = pass(programs, Ingress, &opening(protocol, client, a.vip));
    assert_eq!((between.src, between.dst), (client, a.backends[0]));
    let sent = pass(programs, Egress, &opening(protocol, between.src, between.dst));
    let back = pass(programs, Ingress, &reply_to(protocol, &sent));
    let told = pass(programs, Egress, &answer(protocol, back.src, back.dst));
    assert_eq!((told.src, told.dst), (a.vip, client));
    sent.src.ip()
}

fn each(mut test: impl FnMut(Addresses, Protocol, bool)) {
    for protocol in [Tcp, Udp] {
        for local in [true, false] {
            families().into_iter().for_each(|addresses| test(addresses, protocol, local));
        }
    }
}

#[test]
fn a_client_from_outside_is_masqueraded_towards_a_cluster_ip() {
    each(|a, protocol, local| {
        let mut programs = world(&a, protocol, local);
        programs.detect(Some(a.client.ip().into()), everybody(a.client.ip()));
        assert_eq!(seen(&programs, &a, protocol, a.other_client), a.node.ip(), "local: {local}");
    });
}

#[test]
fn a_pods_own_address_is_kept_to_a_cluster_ip() {
    each(|a, protocol, local| {
        let mut programs = world(&a, protocol, local);
        programs.detect(Some(a.client.ip().into()), everybody(a.client.ip()));
        assert_eq!(seen(&programs, &a, protocol, a.client), a.client.ip(), "local: {local}");
    });
}

#[test]
fn where_it_is_not_known_who_is_outside_nobody_is_masqueraded_for_it() {
    each(|a, protocol, local| {
        let programs = world(&a, protocol, local);
        for client in [a.client, a.other_client] {
            assert_eq!(seen(&programs, &a, protocol, client), client.ip(), "local: {local}");
        }
    });
}

#[test]
fn a_client_behind_a_device_for_pods_is_inside() {
    each(|a, protocol, local| {
        let mut programs = world(&a, protocol, local);
        programs.detect(None, everybody(a.client.ip()));
        assert_eq!(seen(&programs, &a, protocol, a.other_client), a.node.ip());
        programs.device(VETH, Device { flags: device_flags::POD, ..Device::default() });
        assert_eq!(seen(&programs, &a, protocol, a.client), a.client.ip());
    });
}

#[test]
fn the_nodes_own_address_is_inside() {
    each(|a, protocol, local| {
        let mut programs = world(&a, protocol, local);
        let own = a.other_client.ip();
        programs.detect(None, everybody(own));
        programs.node_addresses(&[(a.node.ip(), node_flags::OWN), (own, node_flags::OWN)].into());
        assert_eq!(seen(&programs, &a, protocol, a.other_client), own);
    });
}

#[test]
fn with_masquerade_all_every_client_of_a_cluster_ip_is_masqueraded() {
    each(|a, protocol, local| {
        let options = svclb::loader::Options { masquerade_all: true, ..Programs::options() };
        let programs = Programs::load(options).expect("the programs load");
        let mut programs = world_with(programs, &a, protocol, local);
        programs.detect(Some(a.client.ip().into()), everybody(a.client.ip()));
        assert_eq!(seen(&programs, &a, protocol, a.client), a.node.ip(), "local: {local}");
    });
}

#[test]
fn node_ports_answer_at_the_addresses_that_have_them() {
    each(|a, protocol, local| {
        let mut programs = load();
        programs.node_port(a.node, protocol, &[(a.backends[0], local)]);
        let other = SocketAddr::new(a.vip.ip(), a.node.port());
        let both = node_flags::OWN | node_flags::NODE_PORTS;
        programs.node_addresses(&[(a.node.ip(), node_flags::OWN), (other.ip(), both)].into());
        untouched(&programs, Ingress, &opening(protocol, a.client, a.node));
        let (_, out) = programs.run(Ingress, &opening(protocol, a.client, other));
        assert_eq!(right(&out).dst, a.backends[0]);
        programs.node_addresses(&[(a.node.ip(), both), (other.ip(), node_flags::OWN)].into());
        untouched(&programs, Ingress, &opening(protocol, a.other_client, other));
        assert_eq!(
            pass(&programs, Ingress, &opening(protocol, a.other_client, a.node)).dst,
            a.backends[0]
        );
    });
}

/// The kernel would drop it, unless `route_localnet` lets it through: then it must not reach what
/// answers to the node's own processes alone.
#[test]
fn what_a_device_brings_for_loopback_reaches_no_node_port() {
    each(|a, protocol, local| {
        let mut programs = load();
        programs.node_port(a.node, protocol, &[(a.backends[0], local)]);
        let loopback: IpAddr = match a.node {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        programs.node_addresses(&[(loopback, node_flags::NODE_PORTS)].into());
        let to = SocketAddr::new(loopback, a.node.port());
        untouched(&programs, Ingress, &opening(protocol, a.client, to));
    });
}
