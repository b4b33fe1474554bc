//! Freeing expired flows before anybody needs their records. An optimisation: without it, a record
//! is freed when the claim's hand comes by.

use svclb_common::{
    address::{V4, V6},
    counters::Occupancy,
    flow::State,
    layout::size::SWEEP_STRIDE,
    outcome::Outcome,
};

use super::clear_with;
use crate::{
    config, fragment,
    maps::{self, Tables},
    raw::{self, Record, Skb},
    report,
};

struct Sweep {
    first: u32,
    now_ns: u64,
}

/// Looks at [`SWEEP_STRIDE`] records of each family, from the number in the packet's first bytes on.
#[inline(always)]
pub fn run(skb: &Skb) {
    let Some(first) = skb.copy::<u32>(0) else { return };
    if first == 0 {
        fragment::sweep(raw::now_ns());
    }
    family::<V4>(first);
    family::<V6>(first);
}

#[inline(always)]
fn family<A: Tables>(first: u32) {
    let mut sweep = Sweep { first, now_ns: raw::now_ns() };
    note::<A>(|occupancy| {
        if first == 0 {
            *occupancy = Occupancy::default();
        }
        occupancy.at_ns = sweep.now_ns;
    });
    raw::repeat(SWEEP_STRIDE, &mut sweep, look::<A>);
}

extern "C" fn look<A: Tables>(index: u32, sweep: *mut Sweep) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let sweep = unsafe { &mut *sweep };
    let number = sweep.first.wrapping_add(index);
    if number >= config::flow_slots() {
        return 1;
    }
    if let Some(record) = A::record(number) {
        judge(record, sweep.now_ns);
    }
    0
}

#[inline(always)]
fn judge<A: Tables>(record: Record<A>, now_ns: u64) {
    let Some(facts) = record.glance() else { return };
    if facts.protocol == 0 {
        return;
    }
    if facts.expired(now_ns, &config::timeouts()) && expire(record, now_ns) {
        note::<A>(|occupancy| occupancy.expired += 1);
        return;
    }
    note::<A>(|occupancy| {
        occupancy.flows += 1;
        occupancy.opening += u64::from(facts.state() == State::Opening);
    });
}

/// Frees a record that is still expired now that nobody else can change it.
#[inline(always)]
fn expire<A: Tables>(record: Record<A>, now_ns: u64) -> bool {
    let Some(mut locked) = record.try_lock() else { return false };
    let facts = &locked.flow().facts;
    let expired = facts.protocol != 0 && facts.expired(now_ns, &config::timeouts());
    if expired {
        report::count(Outcome::Expired);
        // A place of its own on the stack: see there.
        let mut key = locked.flow().received();
        clear_with(&mut locked, &mut key);
    }
    locked.unlock();
    expired
}

/// Notes something in the family's occupancy.
#[inline(always)]
fn note<A: Tables>(change: impl FnOnce(&mut Occupancy)) {
    if let Some(occupancy) = maps::occupancy::<A>() {
        // SAFETY: an array entry, written only here; the agent runs one sweep at a time.
        change(unsafe { &mut *occupancy });
    }
}
