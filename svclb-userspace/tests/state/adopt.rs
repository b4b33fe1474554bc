//! Restarts: only differences are written, and what contradicts itself is repaired.

use std::time::Instant;

use svclb::{
    plan::{
        Limits, LiveFlows, Operation,
        kernel::KernelState,
        operation::{BackendEntry, Family, FrontendAddress, Protocol, ServicePort},
    },
    snapshot::Change,
    writer::memory::MemoryWriter,
};
use svclb_common::{
    filter::Interest,
    frontend::{Frontend, Service, Slot, backend_flags::SERVING},
};

use crate::{
    render,
    support::{GRACE, engine, pods, reached, restart, service, slice},
};

const LIMITS: Limits = Limits { services: 16, backends: 64, slots: 64 };

fn world() -> Vec<Change> {
    let objects = [
        service("a", "10.0.0.1"),
        slice("a", "a-1", pods(0, 3)),
        service("b", "10.0.0.2"),
        slice("b", "b-1", pods(2, 2)),
    ];
    objects.into_iter().chain([Change::Listed]).collect()
}

fn is_watch(operation: &Operation) -> bool {
    matches!(operation, Operation::Watch(..))
}

#[test]
fn a_restart_writes_nothing_but_the_probe() {
    let now = Instant::now();
    let mut first = engine(LIMITS, MemoryWriter::default(), now);
    first.apply(world(), now);
    let before = render::with_ids(first.kernel());

    let mut second = restart(LIMITS, &mut first, now);
    assert_eq!(second.apply([service("c", "10.0.0.3")], now).operations, 0, "not yet listed");
    second.apply(world(), now);
    let log = second.writer().maps.take_log();
    let written: Vec<_> = log.iter().filter(|operation| !is_watch(operation)).collect();
    assert_eq!(written.len(), 3, "{written:?}");
    assert!(matches!(written[0], Operation::SetName(3, owner, 80) if owner.name == "c"));
    assert!(render::with_ids(second.kernel()).starts_with(&before));
}

#[test]
fn a_restart_writes_what_has_changed_meanwhile() {
    let mut now = Instant::now();
    let mut first = engine(LIMITS, MemoryWriter::default(), now);
    first.apply(world(), now);

    let mut second = restart(LIMITS, &mut first, now);
    second.apply([service("a", "10.0.0.1"), slice("a", "a-1", pods(1, 3)), Change::Listed], now);
    assert_eq!(reached(second.kernel(), "a"), ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
    assert_eq!(second.kernel().frontends.len(), 2, "b is gone");
    now += GRACE;
    second.release(now, &LiveFlows::default());
    assert_eq!(second.kernel().names.len(), 1);
    assert_eq!(second.kernel().backends.len(), 3);
    assert_eq!(second.next_release(), None);
}

#[test]
fn a_backend_that_waits_for_its_flows_goes_on_waiting_after_a_restart() {
    let mut now = Instant::now();
    let mut first = engine(LIMITS, MemoryWriter::default(), now);
    first.apply(world(), now);
    first.apply([slice("a", "a-1", pods(1, 2))], now);
    let (&id, _) = first.kernel().backends.iter().find(|(_, b)| b.flags & SERVING == 0).unwrap();

    let mut second = restart(LIMITS, &mut first, now);
    second.apply(world().into_iter().filter(|c| *c != slice("a", "a-1", pods(0, 3))), now);
    second.apply([slice("a", "a-1", pods(1, 2))], now);
    let live = LiveFlows { backends: [id].into(), addresses: pods(0, 1).collect() };
    now += GRACE;
    second.release(now, &live);
    let address = second.kernel().backends[&id].address.ip();
    assert!(second.kernel().watched.contains(address, Interest::Backend));
    second.release(now, &LiveFlows::default());
    assert!(!second.kernel().backends.contains_key(&id));
    assert!(!second.kernel().watched.contains(address, Interest::Backend));
}

fn owner(name: &str, family: Family) -> ServicePort {
    ServicePort {
        namespace: "ns".into(),
        name: name.into(),
        port_name: "http".into(),
        protocol: Protocol::Tcp,
        family,
    }
}

fn backend(service: u32, address: &str) -> BackendEntry {
    let address = address.parse().unwrap();
    BackendEntry { address, protocol: Protocol::Tcp, service, flags: SERVING, weight: 1 }
}

/// Maps in which hardly anything fits together.
fn contradictions() -> KernelState {
    let (a, v6) = (owner("a", Family::V4), owner("a", Family::V6));
    let range = |first_slot, slots| Service { first_slot, slots, ..Service::default() };
    let at = |ip: &str| FrontendAddress::Address(ip.parse().unwrap(), Protocol::Tcp);
    KernelState {
        // One owner with two ids, and ids out of range.
        names: [(0, a.clone()), (2, a.clone()), (3, a), (4, v6), (99, owner("z", Family::V4))]
            .map(|(id, owner)| (id, (owner, 80)))
            .into(),
        // Ranges that overlap, end outside, or are nobody's.
        services: [(2, range(10, 4)), (4, range(12, 4)), (5, range(0, 1)), (9, range(60, 30))]
            .into(),
        slots: [(10, Slot { backend: 77, service: 2 }), (11, Slot { backend: 1, service: 8 })]
            .into(),
        // The same address twice, a stranger's, another family's, an id out of range.
        backends: [
            (1, backend(2, "10.1.0.0:8080")),
            (2, backend(2, "10.1.0.0:8080")),
            (3, backend(8, "10.1.0.0:8080")),
            (4, backend(4, "10.1.0.0:8080")),
            (500, backend(2, "10.1.0.1:8080")),
        ]
        .into(),
        frontends: [(at("10.0.0.1:80"), 3), (at("10.0.0.9:80"), 8), (at("10.0.0.8:80"), 4)]
            .map(|(address, service)| (address, Frontend { service, flags: 0 }))
            .into(),
        ..KernelState::default()
    }
}

#[test]
fn maps_that_contradict_themselves_are_repaired() {
    let mut now = Instant::now();
    let mut fresh = engine(LIMITS, MemoryWriter::default(), now);
    fresh.apply(world(), now);

    let mut engine = engine(LIMITS, MemoryWriter::with_state(contradictions()), now);
    engine.writer().maps.fail_after(2);
    let outcome = engine.apply(world(), now);
    assert_eq!(outcome.problems[0].message, "map memory: told to fail");
    assert!(!engine.is_settled());
    engine.apply([], now);
    now += GRACE;
    engine.release(now, &LiveFlows::default());
    assert!(engine.is_settled());
    assert_eq!(render::without_ids(engine.kernel()), render::without_ids(fresh.kernel()));
    assert_eq!(engine.kernel().services.len(), 2);
    assert_eq!(engine.kernel().watched, fresh.kernel().watched);
}
