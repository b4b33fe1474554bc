//! What load balancers are told: it follows Services, endpoints and the node's addresses.

use std::time::Instant;

use svclb::{
    plan::{Limits, operation::Protocol},
    snapshot::{Change, ObjectKey, Port, Service, TrafficPolicy},
    state::Engine,
    writer::memory::MemoryWriter,
};

use crate::{
    invariants::CheckedWriter,
    support::{engine, no_service, pods, slice},
};

/// A Service of both policies Local, with these ports.
fn service(name: &str, node_port: u16, health_check_node_port: u16) -> Change {
    let port = Port { name: "http".into(), protocol: Protocol::Tcp, port: 80, node_port };
    let service = Service {
        cluster_ips: vec![format!("10.96.0.{}", name.len()).parse().unwrap()],
        ports: vec![port],
        internal_policy: TrafficPolicy::Local,
        external_policy: TrafficPolicy::Local,
        health_check_node_port,
        ..Service::default()
    };
    Change::Service(ObjectKey::new("ns", name), Some(service))
}

fn listed(changes: impl IntoIterator<Item = Change>) -> Engine<CheckedWriter> {
    let limits = Limits { services: 16, backends: 16, slots: 64 };
    let mut engine = engine(limits, MemoryWriter::default(), Instant::now());
    engine.apply(changes.into_iter().chain([Change::Listed]), Instant::now());
    engine
}

/// Name, port, ready endpoints here, and whose NodePort the port is, of each health check.
fn told(engine: &Engine<CheckedWriter>) -> Vec<String> {
    let all = engine.health_checks().map(|(key, check, taken)| {
        let taken = taken.map(|owner| format!(" {}", owner.name)).unwrap_or_default();
        format!("{} {} {}{taken}", key.name, check.port, check.ready)
    });
    all.collect()
}

#[test]
fn nothing_is_told_before_everything_was_listed() {
    let limits = Limits { services: 16, backends: 16, slots: 64 };
    let mut engine = engine(limits, MemoryWriter::default(), Instant::now());
    engine.apply([service("a", 0, 30_001)], Instant::now());
    assert_eq!(told(&engine), [""; 0]);
    engine.apply([Change::Listed], Instant::now());
    assert_eq!(told(&engine), ["a 30001 0"]);
}

#[test]
fn endpoints_on_addresses_of_this_node_count() {
    let mut engine = listed([service("a", 0, 30_001), slice("a", "a-1", pods(1, 2))]);
    assert_eq!(told(&engine), ["a 30001 0"]);
    let without = |engine: &Engine<CheckedWriter>| {
        let without = engine.without_local();
        [without.internal, without.external]
    };
    assert_eq!(without(&engine), [1, 1]);
    engine.set_node_addresses(pods(1, 1).collect(), Instant::now());
    assert_eq!(told(&engine), ["a 30001 1"]);
    assert_eq!(without(&engine), [0, 0]);
    engine.set_node_addresses(pods(7, 1).collect(), Instant::now());
    assert_eq!((told(&engine), without(&engine)), (vec!["a 30001 0".to_owned()], [1, 1]));
    engine.apply([no_service("a")], Instant::now());
    assert_eq!((told(&engine), without(&engine)), (vec![], [0, 0]));
}

#[test]
fn a_port_that_is_a_node_port_says_whose_for_as_long_as_it_is() {
    let mut engine = listed([service("a", 0, 30_001), service("bb", 30_001, 0)]);
    assert_eq!(told(&engine), ["a 30001 0 bb"]);
    engine.apply([service("bb", 30_002, 30_003)], Instant::now());
    assert_eq!(told(&engine), ["a 30001 0", "bb 30003 0"]);
}
