//! One test for each row of the rules, each with a table of cases.

use super::*;
use crate::{
    plan::operation::Protocol,
    snapshot::{EndpointPort, Hints},
};

/// An endpoint in a few letters: its address's last byte; `r`eady, `s`erving, `t`erminating, and
/// `l`ocal by its node's name; then, of its hints, `n` and nodes, `z` and zones.
fn endpoint(text: &str) -> Endpoint {
    let mut words = text.split(' ');
    let (last, flags) = words.next().unwrap().split_once(':').unwrap();
    let mut hints = Hints::default();
    for word in words {
        let (kind, names) = word.split_once('=').unwrap();
        let names = names.split(',').map(Into::into).collect();
        *(if kind == "n" { &mut hints.nodes } else { &mut hints.zones }) = names;
    }
    let node = if flags.contains('l') { "here" } else { "there" };
    Endpoint {
        address: format!("10.244.0.{last}").parse().unwrap(),
        ready: flags.contains('r'),
        serving: flags.contains('s'),
        terminating: flags.contains('t'),
        node: Some(node.into()),
        hints,
    }
}

fn slice(endpoints: &[&str]) -> EndpointSlice {
    EndpointSlice {
        service: "web".into(),
        family: Family::V4,
        ports: vec![EndpointPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
        triggered: None,
    }
}

fn port(name: &str, protocol: Protocol) -> Port {
    Port { name: name.into(), protocol, port: 80, node_port: 0 }
}

/// This node is `here`, in zone `a`, and has the address that ends in 99.
fn node() -> NodeContext {
    let addresses = ["10.244.0.99".parse().unwrap()].into();
    NodeContext { name: "here".into(), zone: Some("a".into()), addresses, ..NodeContext::default() }
}

fn choice(slices: &[&[&str]], node: &NodeContext) -> Choice {
    let slices: Vec<_> = slices.iter().map(|endpoints| slice(endpoints)).collect();
    choose(slices.iter(), &port("http", Protocol::Tcp), Family::V4, node)
}

/// What became of the endpoints in a set, as `last byte:reason`, `*` for local ones.
fn judged(slices: &[&[&str]], policy: TrafficPolicy) -> Vec<String> {
    let show = |j: &Judged| {
        let last = j.address.ip().to_string().replace("10.244.0.", "");
        let local = if j.is_local { "*" } else { "" };
        format!("{last}{local}:{}", j.reason(policy).name())
    };
    choice(slices, &node()).endpoints.iter().map(show).collect()
}

type Table<'a> = [(&'a str, &'a [&'a str], &'a [&'a str])];

fn check(policy: TrafficPolicy, table: &Table<'_>) {
    for (case, endpoints, expected) in table {
        assert_eq!(judged(&[endpoints], policy), *expected, "{case}");
    }
}

#[test]
fn cluster_set_is_ready_endpoints_and_without_any_those_serving_and_terminating() {
    check(
        TrafficPolicy::Cluster,
        &[
            ("all ready", &["1:rs", "2:rsl"], &["1:ready", "2*:ready"]),
            ("one not ready", &["1:rs", "2:s"], &["1:ready", "2:not_ready"]),
            ("one terminating", &["1:rs", "2:st"], &["1:ready", "2:terminating"]),
            (
                "none ready",
                &["1:st", "2:t", "3:s", "4:stl"],
                &[
                    "1:serving_while_terminating",
                    "2:not_serving",
                    "3:not_ready",
                    "4*:serving_while_terminating",
                ],
            ),
            ("none that serves", &["1:t", "2:s"], &["1:not_serving", "2:not_ready"]),
            ("none at all", &[], &[]),
        ],
    );
}

#[test]
fn local_set_is_ready_local_endpoints_and_without_any_local_ones_serving_and_terminating() {
    check(
        TrafficPolicy::Local,
        &[
            ("ready here and there", &["1:rs", "2:rsl"], &["1:not_local", "2*:ready"]),
            ("none here", &["1:rs", "2:st"], &["1:not_local", "2:not_local"]),
            (
                "one ready here",
                &["1:rsl", "2:stl", "3:sl"],
                &["1*:ready", "2*:terminating", "3*:not_ready"],
            ),
            (
                "none ready here, others ready there",
                &["1:rs", "2:stl", "3:tl", "4:sl"],
                &["1:not_local", "2*:serving_while_terminating", "3*:not_serving", "4*:not_ready"],
            ),
            ("at an address of the node", &["99:rs"], &["99*:ready"]),
        ],
    );
}

#[test]
fn terminating_and_not_serving_never() {
    for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        let alone: &[&str] = &["1:tl", "2:tl"];
        check(policy, &[("alone", alone, &["1*:not_serving", "2*:not_serving"])]);
        let beside: &[&str] = &["1:tl", "2:rsl"];
        check(policy, &[("beside a ready one", beside, &["1*:not_serving", "2*:ready"])]);
    }
}

#[test]
fn what_a_service_publishes_as_ready_serves() {
    for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        check(
            policy,
            &[
                ("not ready", &["1:rl"], &["1*:ready"]),
                ("terminating", &["1:rstl"], &["1*:ready"]),
                ("terminating and never ready", &["1:rtl"], &["1*:ready"]),
            ],
        );
    }
}

#[test]
fn topology_by_node_when_every_ready_endpoint_has_node_hints_and_one_names_this_node() {
    check(
        TrafficPolicy::Cluster,
        &[
            (
                "one for each node",
                &["1:rs n=here", "2:rs n=there"],
                &["1:ready", "2:for_other_nodes"],
            ),
            ("none for this node", &["1:rs n=there", "2:rs n=x"], &["1:ready", "2:ready"]),
            ("one without", &["1:rs n=here", "2:rs"], &["1:ready", "2:ready"]),
            (
                "one that is not ready without",
                &["1:rs n=here", "2:s", "3:rs n=x"],
                &["1:ready", "2:not_ready", "3:for_other_nodes"],
            ),
            (
                "the one for this node is not ready",
                &["1:s n=here", "2:rs n=there"],
                &["1:not_ready", "2:ready"],
            ),
            (
                "for several nodes",
                &["1:rs n=x,here", "2:rs n=x,y"],
                &["1:ready", "2:for_other_nodes"],
            ),
        ],
    );
}

#[test]
fn topology_else_by_zone_when_every_ready_endpoint_has_zone_hints_and_one_names_this_zone() {
    check(
        TrafficPolicy::Cluster,
        &[
            ("one for each zone", &["1:rs z=a", "2:rs z=b"], &["1:ready", "2:for_other_zones"]),
            ("none for this zone", &["1:rs z=b", "2:rs z=c"], &["1:ready", "2:ready"]),
            ("one without", &["1:rs z=a", "2:rs"], &["1:ready", "2:ready"]),
            (
                "node hints first",
                &["1:rs n=here z=b", "2:rs n=there z=a"],
                &["1:ready", "2:for_other_nodes"],
            ),
            (
                "zone hints where no node hint is for this node",
                &["1:rs n=x z=a", "2:rs n=there z=b"],
                &["1:ready", "2:for_other_zones"],
            ),
            (
                "zone hints where a node hint is missing",
                &["1:rs n=here z=b", "2:rs z=a"],
                &["1:for_other_zones", "2:ready"],
            ),
            (
                "without a ready one they do not matter",
                &["1:st z=b", "2:st z=a n=there"],
                &["1:serving_while_terminating", "2:serving_while_terminating"],
            ),
        ],
    );
}

#[test]
fn topology_by_zone_needs_a_node_with_a_zone() {
    let endpoints: &[&str] = &["1:rs z=a", "2:rs z=b"];
    let somewhere = NodeContext { zone: None, ..node() };
    assert_eq!(choice(&[endpoints], &node()).topology, Topology::Zone);
    assert_eq!(choice(&[endpoints], &somewhere).topology, Topology::Everywhere);
    assert_eq!(choice(&[endpoints], &somewhere).set(TrafficPolicy::Cluster).count(), 2);
}

#[test]
fn topology_does_not_touch_the_local_set() {
    let endpoints: &[&str] = &["1:rsl n=there z=b", "2:rsl n=here z=a", "3:rs n=here z=a"];
    let cluster = ["1*:for_other_nodes", "2*:ready", "3:ready"];
    assert_eq!(judged(&[endpoints], TrafficPolicy::Cluster), cluster);
    let local = ["1*:ready", "2*:ready", "3:not_local"];
    assert_eq!(judged(&[endpoints], TrafficPolicy::Local), local);
}

#[test]
fn same_address_in_several_slices_is_one_endpoint_and_a_local_one_wins() {
    let cluster = |slices: &[&[&str]]| judged(slices, TrafficPolicy::Cluster);
    assert_eq!(cluster(&[&["1:rs"], &["1:l"]]), ["1*:not_ready", "1:duplicate"]);
    assert_eq!(cluster(&[&["1:"], &["1:rs"]]), ["1:ready", "1:duplicate"]);
    assert_eq!(cluster(&[&["1:rs", "1:rs", "2:rs"]]), ["1:ready", "1:duplicate", "2:ready"]);
    let slices: &[&[&str]] = &[&["1:rs", "2:st"], &["1:l"]];
    let expected = ["1*:not_ready", "1:duplicate", "2:serving_while_terminating"];
    assert_eq!(cluster(slices), expected, "a duplicate's condition is nobody's");
    let hinted: &[&[&str]] = &[&["1:rs z=a", "2:rs z=b"], &["1:rs"]];
    let expected = ["1:ready", "1:duplicate", "2:ready"];
    assert_eq!(cluster(hinted), expected, "a duplicate's hints are nobody's");
}

#[test]
fn only_slices_with_the_port_count() {
    let slices = [slice(&["1:rs"])];
    let count = |port: Port, family| choose(slices.iter(), &port, family, &node()).endpoints.len();
    assert_eq!(count(port("http", Protocol::Tcp), Family::V4), 1);
    assert_eq!(count(port("https", Protocol::Tcp), Family::V4), 0);
    assert_eq!(count(port("http", Protocol::Udp), Family::V4), 0);
    assert_eq!(count(port("http", Protocol::Tcp), Family::V6), 0);
}

#[test]
fn names_of_reasons_are_unique() {
    let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}
