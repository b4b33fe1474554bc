use std::collections::BTreeSet;

use super::*;
use crate::{
    desired::{
        Client, Place,
        verdict::{Action, verdict},
    },
    snapshot::{Change, Port},
};

const NODE: &str = "192.0.2.10";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node() -> NodeContext {
    NodeContext {
        name: "here".into(),
        zone: None,
        addresses: [ip(NODE)].into(),
        ..NodeContext::default()
    }
}

fn service(cluster_ips: &[&str]) -> Service {
    let port = |name: &str, protocol, port, node_port| {
        let name = name.into();
        Port { name, protocol, port, node_port }
    };
    Service {
        cluster_ips: cluster_ips.iter().map(|text| ip(text)).collect(),
        ports: vec![
            port("http", Protocol::Tcp, 80, 30_080),
            port("dns", Protocol::Udp, 53, 0),
            port("dns-tcp", Protocol::Tcp, 53, 0),
        ],
        ..Service::default()
    }
}

fn snapshot(services: &[(&str, &Service)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, service) in services {
        let change = Change::Service(ObjectKey::new("ns", name), Some((*service).clone()));
        snapshot.apply(change, &mut BTreeSet::new());
    }
    snapshot
}

/// A destination as `tcp 10.0.0.1:80`, `echo 10.0.0.1` or `other 10.0.0.1`.
fn destination(text: &str) -> Destination {
    match text.split_once(' ').unwrap() {
        ("tcp", at) => Destination::Port(at.parse().unwrap(), Protocol::Tcp),
        ("udp", at) => Destination::Port(at.parse().unwrap(), Protocol::Udp),
        ("echo", at) => Destination::Echo(ip(at)),
        (_, at) => Destination::Other(ip(at)),
    }
}

/// What is asked: a frontend's kind and owner, or the name of what else it is; and what is done.
fn found(snapshot: &Snapshot, text: &str) -> (String, Action) {
    let cidrs = ["10.96.0.0/16".parse().unwrap(), "fd00::/112".parse().unwrap()];
    let destination = destination(text);
    let asked = asked(snapshot, &cidrs, &node(), destination);
    let client = Client { address: ip("198.51.100.7"), place: Place::Pod };
    let action = verdict(&asked, client, &node()).action(destination.protocol());
    let name = match asked {
        Asked::Frontend(port, frontend) => format!("{} {}", frontend.kind.name(), port.owner),
        other => format!("{other:?}"),
    };
    (name, action)
}

fn check(snapshot: &Snapshot, table: &[(&str, &str, Action)]) {
    for (destination, expected, action) in table {
        assert_eq!(
            found(snapshot, destination),
            ((*expected).to_owned(), *action),
            "{destination}"
        );
    }
}

#[test]
fn a_frontend_is_an_address_a_port_and_a_protocol() {
    let web = Service {
        external_ips: vec![ip("198.51.100.1")],
        load_balancer_ips: vec![ip("203.0.113.1")],
        ..service(&["10.96.0.1", "fd00::1"])
    };
    let (reset, unreachable) = (Action::Reset, Action::Unreachable);
    check(
        &snapshot(&[("web", &web)]),
        &[
            ("tcp 10.96.0.1:80", "ClusterIP ns/web http/TCP IPv4", reset),
            ("tcp [fd00::1]:80", "ClusterIP ns/web http/TCP IPv6", reset),
            ("udp 10.96.0.1:53", "ClusterIP ns/web dns/UDP IPv4", unreachable),
            ("tcp 10.96.0.1:53", "ClusterIP ns/web dns-tcp/TCP IPv4", reset),
            ("tcp 203.0.113.1:80", "load-balancer IP ns/web http/TCP IPv4", reset),
            ("udp 198.51.100.1:53", "external IP ns/web dns/UDP IPv4", unreachable),
            ("tcp 192.0.2.10:30080", "NodePort ns/web http/TCP IPv4", reset),
            ("tcp 192.0.2.11:30080", "Nothing", Action::Pass),
            ("udp 192.0.2.10:30080", "Nothing", Action::Pass),
        ],
    );
}

#[test]
fn a_port_that_an_allocated_cluster_ip_does_not_have_is_refused() {
    let snapshot = snapshot(&[("web", &service(&["10.96.0.1", "2001:db8::1"]))]);
    check(
        &snapshot,
        &[
            ("tcp 10.96.0.1:81", "OtherPort", Action::Reset),
            ("udp 10.96.0.1:80", "OtherPort", Action::Unreachable),
            ("other 10.96.0.1", "OtherPort", Action::Unreachable),
            ("tcp 10.96.0.1:30080", "OtherPort", Action::Reset),
            ("tcp [2001:db8::1]:81", "OtherPort", Action::Reset),
        ],
    );
}

#[test]
fn an_unallocated_address_inside_a_service_cidr_is_dropped() {
    let snapshot = snapshot(&[("web", &service(&["10.96.0.1"]))]);
    check(
        &snapshot,
        &[
            ("tcp 10.96.0.2:80", "Unallocated", Action::Drop),
            ("echo 10.96.0.2", "Unallocated", Action::Drop),
            ("udp [fd00::1]:53", "Unallocated", Action::Drop),
            ("tcp 10.97.0.1:80", "Nothing", Action::Pass),
        ],
    );
}

#[test]
fn an_external_address_at_another_port_and_a_proxy_are_not_touched() {
    let web = Service {
        external_ips: vec![ip("198.51.100.1")],
        load_balancer_ips: vec![ip("203.0.113.1")],
        ..service(&["10.96.0.1"])
    };
    check(
        &snapshot(&[("web", &web)]),
        &[
            ("tcp 203.0.113.1:81", "Nothing", Action::Pass),
            ("other 203.0.113.1", "Nothing", Action::Pass),
            ("tcp 198.51.100.1:81", "Nothing", Action::Pass),
            ("tcp 203.0.113.2:80", "Nothing", Action::Pass),
        ],
    );
}

#[test]
fn a_ping_to_a_vip_is_answered_unless_the_address_is_the_nodes_own() {
    let web = Service {
        external_ips: vec![ip("198.51.100.1"), ip(NODE)],
        load_balancer_ips: vec![ip("203.0.113.1")],
        ..service(&["10.96.0.1"])
    };
    check(
        &snapshot(&[("web", &web)]),
        &[
            ("echo 10.96.0.1", "Echo", Action::Reply),
            ("echo 203.0.113.1", "Echo", Action::Reply),
            ("echo 198.51.100.1", "Echo", Action::Reply),
            ("echo 192.0.2.10", "Nothing", Action::Pass),
            ("echo 203.0.113.2", "Nothing", Action::Pass),
        ],
    );
}

#[test]
fn of_several_that_claim_a_frontend_the_least_kind_then_the_least_name_has_it() {
    let external = |cluster_ip: &str, ips: &[&str]| Service {
        external_ips: ips.iter().map(|text| ip(text)).collect(),
        ..service(&[cluster_ip])
    };
    let a = external("10.96.0.1", &["10.96.0.2", "198.51.100.1", NODE]);
    let b = external("10.96.0.2", &["198.51.100.1", "2001:db8::1"]);
    let reset = Action::Reset;
    check(
        &snapshot(&[("b", &b), ("a", &a)]),
        &[
            ("tcp 10.96.0.2:80", "ClusterIP ns/b http/TCP IPv4", reset),
            ("tcp 198.51.100.1:80", "external IP ns/a http/TCP IPv4", reset),
            ("tcp 192.0.2.10:30080", "NodePort ns/a http/TCP IPv4", reset),
            ("tcp 192.0.2.10:80", "external IP ns/a http/TCP IPv4", reset),
            ("tcp [2001:db8::1]:80", "Nothing", Action::Pass),
        ],
    );
}
