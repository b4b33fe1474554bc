use std::{collections::HashSet, sync::Arc};

use super::*;
use crate::{
    plan::operation::Protocol,
    snapshot::{EndpointPort, Hints},
};

/// An endpoint in a few letters: its address's last byte, then `r`eady, `s`erving, `t`erminating,
/// and `l`ocal by its node's name.
fn endpoint(text: &str) -> Endpoint {
    let (last, flags) = text.split_once(':').unwrap();
    let on_node = if flags.contains('l') { "node-1" } else { "node-2" };
    Endpoint {
        address: format!("10.244.0.{last}").parse().unwrap(),
        ready: flags.contains('r'),
        serving: flags.contains('s'),
        terminating: flags.contains('t'),
        node: Some(Arc::from(on_node)),
        hints: Hints::default(),
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

fn node() -> NodeContext {
    let addresses = HashSet::from(["10.244.0.99".parse().unwrap()]);
    NodeContext { name: "node-1".into(), addresses }
}

/// What became of the endpoints, as `last byte:reason`, `*` for local ones.
fn judged(slices: &[&[&str]]) -> Vec<String> {
    let slices: Vec<_> = slices.iter().map(|endpoints| slice(endpoints)).collect();
    let found = choose(slices.iter(), &port("http", Protocol::Tcp), Family::V4, &node());
    let last = |address: SocketAddr| address.ip().to_string().replace("10.244.0.", "");
    let show = |j: &Judged| {
        let local = if j.local { "*" } else { "" };
        format!("{}{local}:{}", last(j.address), j.reason.name())
    };
    found.iter().map(show).collect()
}

#[test]
fn conditions_decide() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("all ready", &["1:rs", "2:rsl"], &["1:ready", "2*:ready"]),
        ("one not ready", &["1:rs", "2:s"], &["1:ready", "2:not_ready"]),
        ("one terminating", &["1:rs", "2:st"], &["1:ready", "2:terminating"]),
        (
            "terminating ones serve when none is ready",
            &["1:st", "2:t", "3:s"],
            &["1:serving_while_terminating", "2:not_serving", "3:not_ready"],
        ),
        ("none at all", &[], &[]),
        ("published although not ready", &["1:rst"], &["1:ready"]),
        ("at an address of the node", &["99:rs"], &["99*:ready"]),
    ];
    for (case, endpoints, expected) in table {
        assert_eq!(judged(&[endpoints]), *expected, "{case}");
    }
}

#[test]
fn of_duplicates_a_local_one_is_kept_then_a_ready_one() {
    assert_eq!(judged(&[&["1:rs"], &["1:l"]]), ["1*:not_ready", "1:duplicate"]);
    assert_eq!(judged(&[&["1:"], &["1:rs"]]), ["1:ready", "1:duplicate"]);
    assert_eq!(judged(&[&["1:rs", "1:rs", "2:rs"]]), ["1:ready", "1:duplicate", "2:ready"]);
    assert_eq!(
        judged(&[&["1:rs", "2:st"], &["1:l"]]),
        ["1*:not_ready", "1:duplicate", "2:serving_while_terminating"],
        "a duplicate's condition is nobody's"
    );
}

#[test]
fn only_slices_with_the_port_count() {
    let slices = [slice(&["1:rs"])];
    let count = |port: Port, family| choose(slices.iter(), &port, family, &node()).len();
    assert_eq!(count(port("http", Protocol::Tcp), Family::V4), 1);
    assert_eq!(count(port("https", Protocol::Tcp), Family::V4), 0);
    assert_eq!(count(port("http", Protocol::Udp), Family::V4), 0);
    assert_eq!(count(port("http", Protocol::Tcp), Family::V6), 0);
}
