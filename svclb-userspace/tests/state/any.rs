//! Any objects: few names and addresses, so that they meet often.

use std::{collections::HashSet, net::IpAddr, ops::Range, time::Duration};

use proptest::{collection::vec, option, prelude::*, sample::select};
use svclb::{
    plan::operation::{Family, Protocol},
    snapshot::{Endpoint, EndpointPort, EndpointSlice, Hints, Node, Port, Service, TrafficPolicy},
};

fn address(family: Family, last: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 0, 0, last]),
        Family::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]),
    }
}

fn families() -> impl Strategy<Value = Family> {
    select(&[Family::V4, Family::V6][..])
}

/// Up to two addresses of any family, by their last byte.
pub(crate) fn addresses(last: Range<u8>) -> impl Strategy<Value = Vec<IpAddr>> {
    vec((families(), last).prop_map(|(family, last)| address(family, last)), 0..3)
}

/// A name, or none.
fn name(names: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    option::of(select(names))
}

fn port() -> impl Strategy<Value = Port> {
    let names = select(&["a", "b"][..]);
    let protocols = select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..]);
    let node_ports = select(&[0, 30_001, 30_002][..]);
    (names, protocols, 80_u16..82, node_ports).prop_map(|(name, protocol, port, node_port)| Port {
        name: name.into(),
        protocol,
        port,
        node_port,
    })
}

/// Services that often want each other's addresses.
pub(crate) fn service() -> impl Strategy<Value = Service> {
    let others = (addresses(1..6), addresses(1..6), prop::bool::weighted(0.2));
    let habits =
        (policy(), policy(), option::weighted(0.2, (1_u64..3).prop_map(Duration::from_secs)));
    let all = (addresses(1..4), others, habits, vec(port(), 0..3));
    all.prop_map(|(mut cluster_ips, others, habits, mut ports)| {
        let mut seen = HashSet::new();
        ports.retain(|port| seen.insert((port.name.clone(), port.protocol)));
        cluster_ips.sort();
        cluster_ips.dedup_by_key(|ip| Family::of(*ip));
        let (external_ips, load_balancer_ips, guarded) = others;
        let (internal_policy, external_policy, affinity) = habits;
        let range = guarded.then(|| "10.0.0.0/30".parse().unwrap());
        Service {
            cluster_ips,
            external_ips,
            load_balancer_ips,
            source_ranges: range.into_iter().collect(),
            ports,
            internal_policy,
            external_policy,
            affinity,
            health_check_node_port: 0,
        }
    })
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    prop::bool::weighted(0.4).prop_map(|local| match local {
        true => TrafficPolicy::Local,
        false => TrafficPolicy::Cluster,
    })
}

fn endpoint(family: Family) -> impl Strategy<Value = Endpoint> {
    let hint = |names: &'static [&'static str]| option::weighted(0.8, select(names));
    let hints = (hint(&["node1", "node2"]), hint(&["a", "b"])).prop_map(|(node, zone)| Hints {
        nodes: node.into_iter().map(Into::into).collect(),
        zones: zone.into_iter().map(Into::into).collect(),
    });
    let node = name(&["node1", "node2"]);
    (1_u8..7, any::<[bool; 3]>(), node, hints).prop_map(move |(last, conditions, node, hints)| {
        let [ready, serving, terminating] = conditions;
        let (address, node) = (address(family, last), node.map(Into::into));
        Endpoint { address, ready, serving, terminating, node, hints }
    })
}

fn endpoint_port() -> impl Strategy<Value = EndpointPort> {
    (select(&["a", "b"][..]), 8001_u16..8003).prop_map(|(name, port)| EndpointPort {
        name: name.into(),
        protocol: Protocol::Tcp,
        port,
    })
}

/// Slices of the Services `s0`, `s1` and `s2`.
pub(crate) fn slice() -> impl Strategy<Value = EndpointSlice> {
    let endpoints = families().prop_flat_map(|f| (Just(f), vec(endpoint(f), 0..5)));
    (0_usize..3, endpoints, vec(endpoint_port(), 0..3)).prop_map(
        |(service, (family, endpoints), ports)| EndpointSlice {
            service: format!("s{service}").into(),
            family,
            ports,
            endpoints,
            triggered: None,
        },
    )
}

/// What the cluster may say about a node.
pub(crate) fn node() -> impl Strategy<Value = Node> {
    (addresses(1..7), name(&["a", "b"])).prop_map(|(addresses, zone)| Node {
        addresses,
        zone: zone.map(Into::into),
        ..Node::default()
    })
}
