//! Which endpoints count as vanished: nobody talks to them any more.

use std::time::Instant;

use svclb::{
    plan::{Limits, kernel::KernelState},
    snapshot::{Change, EndpointSlice},
    state::Engine,
    writer::memory::MemoryWriter,
};
use svclb_common::frontend::backend_flags::{SERVING, VANISHED};

use crate::{
    invariants::CheckedWriter,
    support::{engine, no_service, pods, restart, service, slice},
};

const LIMITS: Limits = Limits { services: 16, backends: 64, slots: 64 };

fn world(now: Instant) -> Engine<CheckedWriter> {
    let mut engine = engine(LIMITS, MemoryWriter::default(), now);
    let objects = [service("a", "10.0.0.1"), slice("a", "a-1", pods(0, 2)), Change::Listed];
    engine.apply(objects, now);
    engine
}

/// The last endpoint of [`world`], if it serves, and if it has vanished.
fn last(state: &KernelState) -> (bool, bool) {
    let address = pods(1, 1).next().unwrap();
    let backend = state.backends.values().find(|b| b.address.ip() == address).unwrap();
    (backend.flags & SERVING != 0, backend.flags & VANISHED != 0)
}

/// Both endpoints, the last one as `edit` leaves it.
fn edited(edit: impl FnOnce(&mut EndpointSlice)) -> Change {
    let Change::Slice(key, Some(mut slice)) = slice("a", "a-1", pods(0, 2)) else {
        unreachable!("a slice")
    };
    edit(&mut slice);
    Change::Slice(key, Some(slice))
}

fn terminating(serving: bool) -> Change {
    edited(|slice| {
        let last = slice.endpoints.last_mut().unwrap();
        (last.ready, last.serving, last.terminating) = (false, serving, true);
    })
}

#[test]
fn an_endpoint_that_is_not_listed_any_more_has_vanished() {
    let now = Instant::now();
    let mut engine = world(now);
    assert_eq!(last(engine.kernel()), (true, false));
    engine.apply([slice("a", "a-1", pods(0, 1))], now);
    assert_eq!(last(engine.kernel()), (false, true));
    engine.apply([slice("a", "a-1", pods(0, 2))], now);
    assert_eq!(last(engine.kernel()), (true, false), "it is back");
}

#[test]
fn an_endpoint_that_terminates_vanishes_when_it_is_listed_no_more() {
    let now = Instant::now();
    let mut engine = world(now);
    for serving in [true, false] {
        engine.apply([terminating(serving)], now);
        assert_eq!(last(engine.kernel()), (false, false));
    }
    engine.apply([slice("a", "a-1", pods(0, 1))], now);
    assert_eq!(last(engine.kernel()), (false, true));
    engine.apply([terminating(false)], now);
    assert_eq!(last(engine.kernel()), (false, false), "it is listed again");
}

#[test]
fn a_pod_whose_port_changes_has_not_vanished() {
    let now = Instant::now();
    let mut engine = world(now);
    engine.apply([edited(|slice| slice.ports[0].port = 9090)], now);
    let leaving = engine.kernel().backends.values().filter(|b| b.address.port() == 8080);
    let leaving: Vec<_> = leaving.map(|backend| backend.flags & (SERVING | VANISHED)).collect();
    assert_eq!(leaving, [0, 0]);
}

#[test]
fn the_end_of_a_service_says_nothing_of_its_pods() {
    let now = Instant::now();
    let mut engine = world(now);
    engine.apply([no_service("a"), Change::Slice(slice_key(), None)], now);
    assert_eq!(last(engine.kernel()), (false, false));
}

fn slice_key() -> svclb::snapshot::ObjectKey {
    svclb::snapshot::ObjectKey::new("ns", "a-1")
}

#[test]
fn an_endpoint_that_vanished_while_no_agent_ran_is_noticed() {
    let now = Instant::now();
    let mut first = world(now);
    let mut second = restart(LIMITS, &mut first, now);
    let objects = [service("a", "10.0.0.1"), slice("a", "a-1", pods(0, 1)), Change::Listed];
    second.apply(objects, now);
    assert_eq!(last(second.kernel()), (false, true));
}
