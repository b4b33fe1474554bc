//! Full maps: said by name, the rest keeps working, and room is used when it comes.

use std::time::Instant;

use svclb::{
    plan::{Limits, LiveFlows},
    snapshot::Change,
    writer::memory::MemoryWriter,
};

use crate::support::{GRACE, engine, no_service, pods, reached, service, slice};

const ROOMY: Limits = Limits { services: 16, backends: 64, slots: 64 };

#[test]
fn without_a_service_id_a_service_is_left_out_until_one_is_free() {
    let mut now = Instant::now();
    let limits = Limits { services: 3, ..ROOMY };
    let mut engine = engine(limits, MemoryWriter::default(), now);
    engine.writer().strict = true;
    let three = ["a", "b", "c"].iter().zip(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let changes: Vec<_> = three.map(|(name, ip)| service(name, ip)).collect();
    let outcome = engine.apply(changes.into_iter().chain([Change::Listed]), now);
    let problems: Vec<_> = outcome.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["Service ns/c, port http/TCP IPv4: map services is full: not served"]);
    assert_eq!(engine.kernel().frontends.len(), 4);
    assert_eq!(engine.apply([], now).problems, [], "said once");

    engine.apply([no_service("a")], now);
    now += GRACE;
    engine.release(now, &LiveFlows::default());
    let names: Vec<_> = engine.kernel().names.values().map(|(owner, _)| &owner.name).collect();
    assert_eq!(names, ["c", "b"]);
    assert_eq!(engine.problems().count(), 0);
}

#[test]
fn without_backend_ids_some_endpoints_are_left_out() {
    let mut now = Instant::now();
    let limits = Limits { backends: 4, ..ROOMY };
    let mut engine = engine(limits, MemoryWriter::default(), now);
    let changes = [service("a", "10.0.0.1"), slice("a", "a-1", pods(0, 3))];
    engine.apply(changes.into_iter().chain([Change::Listed]), now);
    engine.writer().strict = true;

    // A rolling update needs more ids than there are while the old ones may have flows.
    let outcome = engine.apply([slice("a", "a-1", pods(2, 3))], now);
    assert_eq!(outcome.problems[0].message, "map backends is full: 2 endpoints left out");
    assert_eq!(reached(engine.kernel(), "a"), ["10.1.0.2"]);
    now += GRACE;
    engine.release(now, &LiveFlows::default());
    assert_eq!(reached(engine.kernel(), "a"), ["10.1.0.2", "10.1.0.3", "10.1.0.4"]);
    assert_eq!(engine.problems().count(), 0);
}

#[test]
fn without_slots_the_old_range_takes_what_it_can() {
    let mut now = Instant::now();
    let limits = Limits { slots: 5, ..ROOMY };
    let mut engine = engine(limits, MemoryWriter::default(), now);
    let changes = [service("a", "10.0.0.1"), slice("a", "a-1", pods(0, 3))];
    engine.apply(changes.into_iter().chain([Change::Listed]), now);

    let outcome = engine.apply([slice("a", "a-1", pods(1, 4))], now);
    assert_eq!(outcome.problems[0].message, "map slots is full: 1 endpoints left out");
    assert_eq!(reached(engine.kernel(), "a"), ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
    let outcome = engine.apply([slice("a", "a-1", pods(1, 2))], now);
    assert_eq!(outcome.problems, [], "two fit into what is left");
    assert_eq!(reached(engine.kernel(), "a"), ["10.1.0.1", "10.1.0.2"]);
    now += GRACE;
    engine.release(now, &LiveFlows::default());
    engine.apply([slice("a", "a-1", pods(1, 3))], now);
    assert_eq!(reached(engine.kernel(), "a").len(), 3);
}
