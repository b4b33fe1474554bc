//! The cost of a change is that of the Services it touches.

use std::time::Instant;

use svclb::{
    plan::{Limits, Operation},
    snapshot::Change,
    writer::memory::MemoryWriter,
};

use crate::support::{engine, pods, reached, service, slice};

#[test]
fn a_thousand_endpoints_in_one_slice_and_the_same_in_another() {
    let now = Instant::now();
    let mut engine = engine(Limits::default(), MemoryWriter::default(), now);
    engine.apply(
        [
            slice("a", "a-1", pods(0, 1000)),
            slice("a", "a-2", pods(500, 1000)),
            service("a", "10.0.0.1"),
            Change::Listed,
        ],
        now,
    );
    assert_eq!(reached(engine.kernel(), "a").len(), 1500);
    assert_eq!(engine.kernel().backends.len(), 1500);

    engine.writer().maps.take_log();
    engine.apply([slice("a", "a-2", pods(500, 1001))], now);
    let log = engine.writer().maps.take_log();
    let kinds = log.iter().map(|operation| match operation {
        Operation::SetSlots(_, slots) => format!("{} slots", slots.len()),
        Operation::Watch(..) => "watch".to_owned(),
        Operation::SetBackend(..) => "backend".to_owned(),
        Operation::SetService(..) => "service".to_owned(),
        other => format!("{other:?}"),
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["watch", "backend", "1501 slots", "service"]);
}

#[test]
fn one_change_among_many_services_touches_one() {
    let now = Instant::now();
    let mut engine = engine(Limits::default(), MemoryWriter::default(), now);
    let ip = |i: u32| format!("10.0.{}.{}", i / 250, i % 250 + 1);
    let name = |i: u32| format!("s{i}");
    let objects = (0..2_000).flat_map(|i| {
        [service(&name(i), &ip(i)), slice(&name(i), &format!("{}-1", name(i)), pods(i, 3))]
    });
    engine.apply(objects.chain([Change::Listed]), now);
    assert_eq!(engine.kernel().frontends.len(), 4_000);

    let outcome = engine.apply([slice("s7", "s7-1", pods(7, 4))], now);
    assert_eq!((outcome.services, outcome.operations), (1, 3));
    assert_eq!(engine.apply([], now).services, 0);
}
