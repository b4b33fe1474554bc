//! A pass over the flow records: frees those that have expired before anybody needs them, and ends
//! the flows whose endpoint or frontend is gone.

use svclb_common::{
    address::{V4, V6},
    counters::Occupancy,
    flow::{Endpoint, Fate, Flow},
    layout::size::SWEEP_STRIDE,
    outcome::Outcome,
    sweep,
};

use super::clear_with;
use crate::{
    config, fragment,
    maps::{self, Tables},
    raw::{self, Locked, Record, Skb},
    report, service,
};

struct Sweep {
    skb: Skb,
    first: u32,
    now_ns: u64,
}

/// Looks at [`SWEEP_STRIDE`] records of each family, as the packet says, and leaves in it which
/// severed flows have an end that has yet to be told.
#[inline(always)]
pub fn run(skb: Skb) {
    let Some(first) = skb.copy::<u32>(0) else { return };
    let mut sweep = Sweep { skb, first, now_ns: raw::now_ns() };
    if first == 0 {
        fragment::sweep(sweep.now_ns);
    }
    family::<V4>(&mut sweep);
    family::<V6>(&mut sweep);
}

#[inline(always)]
fn family<A: Tables>(sweep: &mut Sweep) {
    note::<A>(|occupancy| {
        if sweep.first == 0 {
            *occupancy = Occupancy::default();
        }
        occupancy.at_ns = sweep.now_ns;
    });
    raw::repeat(SWEEP_STRIDE, sweep, look::<A>);
}

extern "C" fn look<A: Tables>(index: u32, sweep: *mut Sweep) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let sweep = unsafe { &mut *sweep };
    let number = sweep.first.wrapping_add(index);
    if number >= config::flow_slots() {
        return 1;
    }
    let Some(record) = A::record(number) else { return 0 };
    let fate = judge(record, sweep.now_ns);
    if matches!(fate, Fate::Sever | Fate::Tell) {
        mark::<A>(&mut sweep.skb, index);
    }
    0
}

/// Carries out what is to become of the record's flow, and counts it.
#[inline(always)]
fn judge<A: Tables>(record: Record<A>, now_ns: u64) -> Fate {
    let Some(flow) = record.glance_all() else { return Fate::Keep };
    let mut fate = fate(flow, now_ns);
    if matches!(fate, Fate::Expire | Fate::Forget | Fate::Sever) {
        fate = settle(record, now_ns);
    }
    let state = flow.facts.state();
    note::<A>(|occupancy| match fate {
        Fate::Free => {}
        Fate::Expire | Fate::Forget => occupancy.expired += 1,
        Fate::Keep | Fate::Sever | Fate::Tell => occupancy.count(state),
    });
    fate
}

#[inline(always)]
fn fate<A: Tables>(flow: &Flow<A>, now_ns: u64) -> Fate {
    let endpoint = || match service::endpoint(flow) {
        Endpoint::Vanished if !config::reset_vanished() => Endpoint::Leaving,
        endpoint => endpoint,
    };
    flow.facts.fate(endpoint, || service::has_frontend(flow), config::timeouts(), now_ns)
}

/// Does it if it is still to be done now that nobody else can change the record; returns what was.
#[inline(always)]
fn settle<A: Tables>(record: Record<A>, now_ns: u64) -> Fate {
    let Some(mut locked) = record.try_lock() else { return Fate::Keep };
    let fate = fate(locked.flow(), now_ns);
    match fate {
        Fate::Expire => release(&mut locked, Outcome::Expired),
        Fate::Forget => release(&mut locked, Outcome::Forgotten),
        Fate::Sever => {
            report::count(Outcome::Severed);
            locked.flow().facts.sever(now_ns);
        }
        Fate::Free | Fate::Keep | Fate::Tell => {}
    }
    locked.unlock();
    fate
}

#[inline(always)]
fn release<A: Tables>(locked: &mut Locked<A>, why: Outcome) {
    report::count(why);
    // A place of its own on the stack: see there.
    let mut key = locked.flow().received();
    clear_with(locked, &mut key);
}

/// Sets the record's bit in the packet.
#[inline(always)]
fn mark<A: Tables>(skb: &mut Skb, index: u32) {
    let (byte, bit) = sweep::place(A::INDEX, index);
    let Some(others) = skb.copy::<u8>(byte) else { return };
    // A bit that is lost is set by the next pass.
    let _ = skb.store(byte, &(others | bit), 0);
}

/// Notes something in the family's occupancy.
#[inline(always)]
fn note<A: Tables>(change: impl FnOnce(&mut Occupancy)) {
    if let Some(occupancy) = maps::occupancy::<A>() {
        // SAFETY: an array entry, written only here; the agent runs one sweep at a time.
        change(unsafe { &mut *occupancy });
    }
}
