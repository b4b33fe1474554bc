//! Freeing expired flows before anybody needs their records. An optimisation: without it, a record
//! is freed when the claim's hand comes by.

use svclb_common::{
    address::{V4, V6},
    counters::Occupancy,
    flow::State,
    layout::size::SWEEP_STRIDE,
    outcome::Outcome,
};

use super::clear;
use crate::{
    config,
    maps::{self, Tables},
    raw::{self, Record, Skb},
    report,
};

struct Sweep {
    first: u32,
    now_ns: u64,
    found: Occupancy,
}

/// Looks at [`SWEEP_STRIDE`] records of each family, from the number in the packet's first bytes on.
#[inline(always)]
pub fn run(skb: &Skb) {
    let Some(first) = skb.copy::<u32>(0) else { return };
    family::<V4>(first);
    family::<V6>(first);
}

#[inline(always)]
fn family<A: Tables>(first: u32) {
    let mut sweep = Sweep { first, now_ns: raw::now_ns(), found: Occupancy::default() };
    raw::repeat(SWEEP_STRIDE, &mut sweep, look::<A>);
    let Some(occupancy) = maps::occupancy::<A>() else { return };
    // SAFETY: an array entry, written only here; the agent runs one sweep at a time.
    let occupancy = unsafe { &mut *occupancy };
    if first == 0 {
        *occupancy = Occupancy::default();
    }
    occupancy.flows += sweep.found.flows;
    occupancy.opening += sweep.found.opening;
    occupancy.expired += sweep.found.expired;
    occupancy.at_ns = sweep.now_ns;
}

extern "C" fn look<A: Tables>(index: u32, sweep: *mut Sweep) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let sweep = unsafe { &mut *sweep };
    let number = sweep.first.wrapping_add(index);
    if number >= config::flow_slots() {
        return 1;
    }
    if let Some(record) = A::record(number) {
        judge(record, sweep);
    }
    0
}

#[inline(always)]
fn judge<A: Tables>(record: Record<A>, sweep: &mut Sweep) {
    let Ok(facts) = record.ask(|flow| flow.facts) else { return };
    if facts.protocol == 0 {
        return;
    }
    if facts.expired(sweep.now_ns, &config::timeouts()) && expire(record, sweep.now_ns) {
        sweep.found.expired += 1;
        return;
    }
    sweep.found.flows += 1;
    if facts.state() == State::Opening {
        sweep.found.opening += 1;
    }
}

/// Frees a record that is still expired now that nobody else can change it.
#[inline(always)]
fn expire<A: Tables>(record: Record<A>, now_ns: u64) -> bool {
    let Some(mut locked) = record.try_lock() else { return false };
    let facts = locked.flow().facts;
    let expired = facts.protocol != 0 && facts.expired(now_ns, &config::timeouts());
    if expired {
        report::count(Outcome::Expired);
        clear(&mut locked);
    }
    locked.unlock();
    expired
}
