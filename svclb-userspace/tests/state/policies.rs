//! Changes of policies and conditions: at no moment is a client without an endpoint that it may
//! have.

use std::time::Instant;

use svclb::{
    plan::{Limits, Operation, operation::Protocol},
    snapshot::{
        Change, Endpoint, EndpointPort, EndpointSlice, Hints, ObjectKey, Port, Service,
        TrafficPolicy,
    },
    state::Engine,
    writer::memory::MemoryWriter,
};
use svclb_common::frontend::{backend_flags, frontend_flags};

use crate::{
    invariants::CheckedWriter,
    support::{engine, pods, reached},
};

fn service(external_policy: TrafficPolicy) -> Change {
    let ports =
        vec![Port { name: "http".into(), protocol: Protocol::Tcp, port: 80, node_port: 30_000 }];
    let cluster_ips = vec!["10.96.0.1".parse().unwrap()];
    let service = Service { cluster_ips, ports, external_policy, ..Service::default() };
    Change::Service(ObjectKey::new("ns", "a"), Some(service))
}

/// An endpoint on this node, ready or terminating, and a ready one elsewhere.
fn slice(local_is_ready: bool) -> Change {
    let endpoint = |(address, (ready, node)): (_, (bool, &str))| Endpoint {
        address,
        ready,
        serving: true,
        terminating: !ready,
        node: Some(node.into()),
        hints: Hints::default(),
    };
    let conditions = [(local_is_ready, "node1"), (true, "node2")];
    let slice = EndpointSlice {
        service: "a".into(),
        family: svclb::plan::operation::Family::V4,
        ports: vec![EndpointPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: pods(1, 2).zip(conditions).map(endpoint).collect(),
        triggered: None,
    };
    Change::Slice(ObjectKey::new("ns", "a-1"), Some(slice))
}

/// An engine that has written `changes`, and checks itself from now on.
fn settled(changes: [Change; 2]) -> Engine<CheckedWriter> {
    let limits = Limits { services: 8, backends: 8, slots: 64 };
    let mut engine = engine(limits, MemoryWriter::default(), Instant::now());
    engine.apply(changes.into_iter().chain([Change::Listed]), Instant::now());
    engine.writer().maps.take_log();
    engine.writer().strict = true;
    engine
}

/// The operations that `change` leads to.
fn written(engine: &mut Engine<CheckedWriter>, change: Change) -> Vec<Operation> {
    engine.apply([change], Instant::now());
    engine.writer().maps.take_log()
}

fn place_of(operations: &[Operation], what: impl Fn(&Operation) -> bool) -> usize {
    operations.iter().position(what).unwrap_or_else(|| panic!("not in {operations:?}"))
}

fn is_switch(operation: &Operation) -> bool {
    matches!(operation, Operation::SetService(..))
}

fn is_frontend(operation: &Operation) -> bool {
    matches!(operation, Operation::SetFrontend(..))
}

#[test]
fn a_frontend_is_bound_to_the_local_set_as_long_as_there_is_one() {
    let mut engine = settled([service(TrafficPolicy::Local), slice(true)]);
    let freed = written(&mut engine, service(TrafficPolicy::Cluster));
    assert!(place_of(&freed, is_frontend) < place_of(&freed, is_switch), "{freed:?}");
    let bound = written(&mut engine, service(TrafficPolicy::Local));
    assert!(place_of(&bound, is_switch) < place_of(&bound, is_frontend), "{bound:?}");
    let flags = |value: &svclb_common::frontend::Frontend| value.flags & frontend_flags::LOCAL;
    assert_eq!(engine.kernel().frontends.values().map(flags).max(), Some(frontend_flags::LOCAL));
}

/// The endpoint of this node terminates: it stays in the local set, as its last resort.
#[test]
fn a_backend_leaves_the_cluster_set_after_the_switch() {
    let mut engine = settled([service(TrafficPolicy::Local), slice(true)]);
    let narrows = |operation: &Operation| {
        let only = backend_flags::LOCAL_ONLY;
        matches!(operation, Operation::SetBackend(_, value) if value.flags & only != 0)
    };
    let left = written(&mut engine, slice(false));
    assert!(place_of(&left, is_switch) < place_of(&left, narrows), "{left:?}");
    let back = written(&mut engine, slice(true));
    let widens = |operation: &Operation| matches!(operation, Operation::SetBackend(..));
    assert!(place_of(&back, widens) < place_of(&back, is_switch), "{back:?}");
}

/// A map of source ranges that is full keeps a Service's guarded address closed, and nothing else.
#[test]
fn ranges_that_cannot_be_written_do_not_hold_endpoints_back() {
    let guarded = || {
        let Change::Service(key, Some(service)) = service(TrafficPolicy::Cluster) else {
            panic!("a Service")
        };
        let load_balancer_ips = vec!["203.0.113.1".parse().unwrap()];
        let source_ranges = vec!["198.51.100.0/24".parse().unwrap()];
        let service = Service { load_balancer_ips, source_ranges, ..service };
        [Change::Service(key, Some(service)), slice(false)]
    };
    let before = || settled([service(TrafficPolicy::Cluster), slice(true)]);
    let mut engine = before();
    engine.apply(guarded(), Instant::now());
    let is_range = |operation: &Operation| matches!(operation, Operation::AddSource(..));
    let range = place_of(&engine.writer().maps.take_log(), is_range);
    let mut engine = before();
    engine.writer().maps.fail_after(range as u64);
    engine.apply(guarded(), Instant::now());
    let kernel = engine.writer().maps.state();
    assert_eq!(reached(kernel, "a"), ["10.1.0.2"]);
    assert_eq!(kernel.frontends.len(), 3, "the guarded address is not served: {kernel:?}");
    assert!(!engine.is_settled());
    engine.apply([], Instant::now());
    assert_eq!(engine.writer().maps.state().frontends.len(), 5);
}
