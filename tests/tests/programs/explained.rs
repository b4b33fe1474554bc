//! What `svclb explain` says is what the programs do, on random tables.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use svclb::{
    desired::{Detection, NodePortAddresses, node_ports::Selection, verdict::Action as Done},
    explain::{Explanation, Facts, Question, Sees, explain},
    loader::Options,
    plan::{Limits, LiveFlows, operation::Protocol},
    state::{self, Engine, Traffic},
    writer::{MapReader as _, maps::KernelMaps},
};
use svclb_common::frontend::{Device, device_flags};
use svclb_tests::programs::{
    Action,
    Hook::{Egress, Ingress},
    Programs,
};

use crate::{
    objects::{self, Random},
    opening, right,
};

const ROUNDS: u32 = 25;
const CASES: u32 = 200;
/// The device that packets come from.
const DEVICE: u32 = 1;

#[test]
fn explain_agrees_with_the_programs_on_random_cases() {
    let seed = std::env::var("SVCLB_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    println!("SVCLB_SEED={seed}");
    let mut random = Random::new(seed);
    let mut served = 0;
    for masquerade_all in [false, true] {
        let mut options = Options { masquerade_all, ..Programs::options() };
        options.sizes.flows = 16_384;
        let mut programs = Programs::load(options).expect("the programs load");
        // Never used twice, so that every case is a new flow.
        let mut client_ports = 32_768..;
        for _ in 0..ROUNDS {
            served += round(&mut programs, &mut random, masquerade_all, &mut client_ports);
        }
    }
    let cases = 2 * ROUNDS * CASES;
    println!("{served} of {cases} cases served");
    assert!(served > cases / 10, "{served} of {cases} cases reach an endpoint: too few to tell");
}

/// One table, and questions about it; how many were served.
fn round(
    programs: &mut Programs,
    random: &mut Random,
    masquerade_all: bool,
    client_ports: &mut impl Iterator<Item = u16>,
) -> u32 {
    let detection = detection(random);
    let traffic = Traffic { detection: detection.clone(), ..Traffic::default() };
    let node_ports = node_ports(random);
    let mut engine = engine(programs, traffic);
    let now = Instant::now();
    let own = BTreeSet::from(objects::NODE.map(objects::ip));
    engine.apply(objects::changes(random), now);
    engine.set_node_addresses(own.iter().copied().collect(), now);
    // Ids of what is gone come back: no question asks about an old flow.
    engine.release(now + Duration::from_secs(60), &LiveFlows::default());
    let object = engine.snapshot().node("node1");
    let (table, ranges) = (node_ports.table(&own, object), detection.ranges(object));
    engine.writer().set_node_addresses(&table).expect("node_addrs is writable");
    let (inside, detected) = ranges.expect("the node has an object");
    let facts = Facts {
        snapshot: engine.snapshot(),
        node: engine.node(),
        addresses: table,
        inside,
        detected,
        pod_interfaces: Some("pod".to_owned()),
        masquerade_all,
        service_cidrs: BTreeSet::new(),
    };
    programs.device(0, objects::masquerade());
    let mut served = 0;
    for client_port in client_ports.take(CASES as usize) {
        let question = question(random);
        set_device(programs, &question);
        let told = explain(&facts, &question);
        check(programs, &question, client_port, &told);
        served += u32::from(told.action == Done::Serve);
    }
    served
}

fn engine(programs: &Programs, traffic: Traffic) -> Engine<KernelMaps> {
    let maps = KernelMaps::open(programs.pins()).expect("the maps are pinned");
    let kernel = maps.read().expect("the maps are readable");
    let sizes = Programs::options().sizes;
    let limits = Limits { services: sizes.services, backends: sizes.backends, slots: sizes.slots };
    let grace = Duration::from_secs(1);
    let options = state::Options { node: "node1".into(), limits, grace, traffic };
    Engine::new(options, kernel, maps, Instant::now())
}

fn detection(random: &mut Random) -> Detection {
    let cluster = ["10.244.0.0/16", "fd00:10:244::/48"].map(|range| range.parse().expect("range"));
    match random.below(5) {
        0 => Detection::Off,
        1 => Detection::Interface,
        2 => Detection::Cluster(cluster.into()),
        3 => Detection::Cluster(cluster[..1].iter().copied().collect()),
        _ => Detection::Node,
    }
}

fn node_ports(random: &mut Random) -> NodePortAddresses {
    let range = Selection::Range("192.0.2.11/32".parse().expect("a range"));
    let all = [Selection::All, Selection::Localhost, Selection::Primary, range];
    NodePortAddresses(all.into_iter().filter(|_| random.below(2) == 0).collect())
}

fn question(random: &mut Random) -> Question {
    let (client, destination) = objects::asking(random);
    let device = random.pick(&["pod7", "eth0"]).to_owned();
    let protocol = random.pick(&[Protocol::Tcp, Protocol::Udp]);
    Question { client, device: Some(device), destination, protocol }
}

/// As the agent sets it by the device's name.
fn set_device(programs: &mut Programs, question: &Question) {
    let is_pods = question.device.as_deref().is_some_and(|name| name.starts_with("pod"));
    let flags = if is_pods { device_flags::POD } else { 0 };
    programs.device(DEVICE, Device { flags, ..Device::default() });
}

/// Sends the first packet of a flow, and holds what becomes of it against what was told.
fn check(programs: &Programs, question: &Question, client_port: u16, told: &Explanation) {
    let client = SocketAddr::new(question.client, client_port);
    let frame = opening(question.protocol, client, question.destination);
    let (action, out) = programs.run_on(Ingress, DEVICE, &frame);
    match told.action {
        Done::Pass => {
            assert_eq!((action, &out[..]), (Action::Next, &frame[..]), "{question:?}: {told:#?}");
        }
        Done::Serve => {
            assert_eq!(action, Action::Next, "{question:?}: {told:#?}");
            let (endpoint, seen) = delivered(programs, question.protocol, client, &out);
            let expected = told.endpoints.iter().find(|e| e.serves && e.address == endpoint);
            let expected = expected.and_then(|endpoint| endpoint.sees);
            let sees = if seen == client.ip() { Sees::Client } else { Sees::Node };
            assert_eq!(expected, Some(sees), "{endpoint} saw {seen}: {question:?}: {told:#?}");
        }
        // Dropped or answered: in any case no endpoint hears of it.
        _ => {
            let reached = action == Action::Next && objects::is_endpoint(right(&out).dst.ip());
            assert!(!reached, "{question:?}: {told:#?}");
        }
    }
}

/// The endpoint that a rewritten packet goes to, and the source address that it sees.
fn delivered(
    programs: &Programs,
    protocol: Protocol,
    client: SocketAddr,
    out: &[u8],
) -> (SocketAddr, IpAddr) {
    let between = right(out);
    let (action, sent) = programs.run(Egress, &opening(protocol, between.src, between.dst));
    assert_eq!(action, Action::Next, "{client} was balanced, and then dropped");
    let sent = right(&sent);
    assert_eq!(sent.dst, between.dst);
    (sent.dst, sent.src.ip())
}
