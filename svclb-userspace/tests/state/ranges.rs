//! Ranges of addresses that are no service port's.

use std::{collections::BTreeSet, time::Instant};

use ipnet::IpNet;
use svclb::{
    desired::Detection,
    plan::Limits,
    snapshot::{Change, Node, ObjectKey},
    state::{Engine, Traffic},
    writer::{MapReader, memory::MemoryWriter},
};
use svclb_common::{address::V4, frontend::Source};

use crate::{
    invariants::CheckedWriter,
    support::{engine_with, pods, restart, service, slice},
};

fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
    texts.iter().map(|text| text.parse().expect("a range")).collect()
}

fn traffic(detection: Detection, service_cidrs: &[&str]) -> Traffic {
    Traffic { detection, service_cidrs: nets(service_cidrs), ..Traffic::default() }
}

fn started(traffic: Traffic) -> Engine<CheckedWriter> {
    let (maps, now) = (MemoryWriter::default(), Instant::now());
    let mut engine = engine_with(Limits::default(), maps, traffic, now);
    engine.apply([Change::Listed], now);
    engine
}

fn cidr(name: &str, cidrs: &[&str]) -> Change {
    Change::ServiceCidr(name.into(), Some(nets(cidrs).into_iter().collect()))
}

fn node(pod_cidrs: &[&str]) -> Change {
    let pod_cidrs = nets(pod_cidrs).into_iter().collect();
    Change::Node("node1".into(), Some(Node { pod_cidrs, ..Node::default() }))
}

/// Who is inside, and of whom that is known.
fn clients(engine: &Engine<CheckedWriter>) -> [BTreeSet<IpNet>; 2] {
    [Source::<V4>::PODS, Source::<V4>::DETECTED].map(|id| engine.kernel().sources(id).collect())
}

#[test]
fn service_cidrs_are_those_of_the_objects_and_of_the_operator() {
    let mut engine = started(traffic(Detection::Off, &["10.0.0.0/16"]));
    let now = Instant::now();
    assert_eq!(engine.kernel().service_cidrs, nets(&["10.0.0.0/16"]));
    engine.apply([cidr("kubernetes", &["10.96.0.0/16", "fd00::/112"]), cidr("b", &[])], now);
    let both = ["10.0.0.0/16", "10.96.0.0/16", "fd00::/112"];
    assert_eq!(engine.kernel().service_cidrs, nets(&both));
    let third = [cidr("kubernetes", &["10.0.0.0/16"]), cidr("b", &["fd01::/112"])];
    engine.apply(third, now);
    assert_eq!(engine.kernel().service_cidrs, nets(&["10.0.0.0/16", "fd01::/112"]));
    let gone = ["kubernetes", "b"].map(|name| Change::ServiceCidr(name.into(), None));
    engine.apply(gone, now);
    assert_eq!(engine.kernel().service_cidrs, nets(&["10.0.0.0/16"]), "the operator's stays");
    assert!(engine.is_settled());
}

#[test]
fn nothing_is_known_of_ranges_before_everything_is_listed() {
    let (maps, now) = (MemoryWriter::default(), Instant::now());
    let traffic = traffic(Detection::Off, &["10.0.0.0/16"]);
    let mut engine = engine_with(Limits::default(), maps, traffic, now);
    engine.apply([cidr("kubernetes", &["10.96.0.0/16"])], now);
    assert!(engine.kernel().service_cidrs.is_empty());
    engine.apply([Change::Listed], now);
    assert_eq!(engine.kernel().service_cidrs.len(), 2);
}

#[test]
fn clients_inside_follow_the_node_object() {
    let mut engine = started(Traffic::default());
    let now = Instant::now();
    assert_eq!(clients(&engine), [nets(&[]), nets(&[])]);
    engine.apply([node(&["10.244.1.0/24"])], now);
    assert_eq!(clients(&engine), [nets(&["10.244.1.0/24"]), nets(&["0.0.0.0/0"])]);
    engine.apply([node(&["10.244.2.0/24", "fd00:2::/64"])], now);
    let inside = nets(&["10.244.2.0/24", "fd00:2::/64"]);
    assert_eq!(clients(&engine), [inside, nets(&["0.0.0.0/0", "::/0"])]);
    engine.apply([node(&[])], now);
    assert_eq!(clients(&engine), [nets(&[]), nets(&[])]);
}

#[test]
fn an_agent_that_starts_keeps_what_was_known_until_it_hears_of_its_node() {
    let mut first = started(Traffic::default());
    let now = Instant::now();
    first.apply([node(&["10.244.1.0/24"]), service("a", "10.0.0.1")], now);
    let mut second = restart(Limits::default(), &mut first, now);
    second.apply([service("a", "10.0.0.1"), Change::Listed], now);
    assert_eq!(clients(&second), clients(&first));
    let maps = second.writer();
    assert_eq!(maps.maps.take_log().len(), 1, "the service's address is watched, no more");
    second.apply([node(&["10.244.3.0/24"])], now);
    assert_eq!(clients(&second), [nets(&["10.244.3.0/24"]), nets(&["0.0.0.0/0"])]);
}

#[test]
fn another_detection_takes_away_what_the_last_one_said() {
    let mut first = started(traffic(Detection::Cluster(nets(&["10.244.0.0/16"])), &["10.0.0.0/8"]));
    assert_eq!(clients(&first), [nets(&["10.244.0.0/16"]), nets(&["0.0.0.0/0"])]);
    let now = Instant::now();
    let maps = MemoryWriter::with_state(first.writer().maps.read().expect("readable"));
    let mut second = engine_with(Limits::default(), maps, traffic(Detection::Interface, &[]), now);
    second.apply([Change::Listed], now);
    assert_eq!(clients(&second), [nets(&[]), nets(&["0.0.0.0/0", "::/0"])]);
    assert!(second.kernel().service_cidrs.is_empty());
}

#[test]
fn an_address_that_is_left_to_the_host_has_no_frontend_with_a_port() {
    let left = [ObjectKey::new("ns", "a")].into();
    let traffic = Traffic { left_to_host: left, ..Traffic::default() };
    let (mut engine, now) = (started(traffic), Instant::now());
    let slice_of = |name: &str, i| slice(name, &format!("{name}-1"), pods(i, 1));
    let services = [service("a", "10.0.0.1"), service("b", "10.0.0.2")];
    engine.apply(services.into_iter().chain([slice_of("a", 1), slice_of("b", 2)]), now);
    let found: Vec<_> = engine.kernel().frontends.keys().map(ToString::to_string).collect();
    assert_eq!(found, ["10.0.0.2:80/TCP", "10.0.0.1", "10.0.0.2"]);
}
