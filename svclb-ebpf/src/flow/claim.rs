//! Finding a record for a new flow: a clock hand over the table.
//!
//! The hand passes each record in turn, so the ones ahead are the oldest. It takes the first that
//! is free or expired; else the best of what it saw: a closed flow, the oldest without an answer, or
//! the oldest whose client has not gone on after it. An established flow is never taken. Flows that
//! were opened one after the other lie together, and here one CPU's hand comes to what another's has
//! just filled: where nothing near it is free or closed, it looks at some records all over the table
//! before it takes a flow, and at many before it gives up. Nothing here needs the agent.

use svclb_common::{flow::Facts, outcome::Outcome};

use super::clear;
use crate::{
    config,
    maps::{self, Tables},
    raw::{self, Locked, Record},
    report,
};

/// How many records the hand passes for one new flow.
const REACH: u32 = 64;
/// How many more it looks at all over the table before it takes the record of a flow that is not over:
/// in a table of which half is free, one such flow in 65,536 is lost.
const SPARING: u32 = 16;
/// How many it looks at so where every one of these is to be kept: in a table that is nine tenths
/// full of such, one search in a billion finds nothing.
const SCATTERED: u32 = 192;
/// Spreads the CPUs' hands over the table: odd, near the golden section of 2^32.
const SPREAD: u32 = 0x9e37_79b1;

/// Takes a record for a new flow; what it held before is gone.
#[inline(always)]
pub fn claim<A: Tables>(now_ns: u64) -> Result<Locked<A>, Outcome> {
    A::record(search::<A>(now_ns)).map(Locked::resume).ok_or(Outcome::FlowTableFull)
}

/// No record's number.
const NONE: u32 = u32::MAX;

/// How often the hand sets out for one new flow: another CPU may hold what it has found.
const ATTEMPTS: u32 = 4;

/// The hand on its way over the table.
struct Hand {
    /// The next record in turn.
    next: u32,
    /// The next of those all over the table. The first is anywhere, or the same few would be looked
    /// at again and again.
    elsewhere: u32,
    now_ns: u64,
    /// The record that was taken.
    taken: u32,
    /// The best record to take.
    best: u32,
    score: u64,
}

impl Hand {
    /// Whether what was found is worth no further look, after so many.
    #[inline(always)]
    fn has_enough(&self, looks: u32) -> bool {
        let is_over = looks >= REACH && Facts::is_over_score(self.score);
        is_over || looks >= REACH + SPARING && self.best != NONE
    }

    /// Goes on to the next record, after so many: its number, not yet cut to the table's size.
    #[inline(always)]
    fn step(&mut self, looks: u32) -> u32 {
        if looks < REACH {
            self.next = self.next.wrapping_add(1);
            return self.next;
        }
        self.elsewhere = self.elsewhere.wrapping_add(SPREAD);
        self.elsewhere
    }
}

/// Takes a record and returns its number. (A pointer would not travel well between functions.)
#[inline(never)]
fn search<A: Tables>(now_ns: u64) -> u32 {
    let Some(cursor) = maps::cursor::<A>() else { return NONE };
    let next = cursor.wrapping_add(raw::cpu().wrapping_mul(SPREAD));
    let elsewhere = raw::random();
    let mut hand = Hand { next, elsewhere, now_ns, taken: NONE, best: NONE, score: 0 };
    raw::repeat(ATTEMPTS, &mut hand, attempt::<A>);
    *cursor = cursor.wrapping_add(hand.next.wrapping_sub(next));
    hand.taken
}

/// Looks for a record and takes it; 1 ends the search.
extern "C" fn attempt<A: Tables>(_index: u32, hand: *mut Hand) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let hand = unsafe { &mut *hand };
    (hand.best, hand.score) = (raw::hidden(NONE.into()) as u32, raw::hidden(0));
    raw::repeat(REACH + SCATTERED, hand, pass::<A>);
    let Some(record) = A::record(hand.best) else { return 1 };
    if !take(record, hand.now_ns) {
        return 0;
    }
    hand.taken = hand.best;
    1
}

/// Passes one record; 1 ends the way.
extern "C" fn pass<A: Tables>(index: u32, hand: *mut Hand) -> i64 {
    // SAFETY: as above.
    let hand = unsafe { &mut *hand };
    if hand.has_enough(index) {
        return 1;
    }
    let number = hand.step(index) & config::flow_slots().wrapping_sub(1);
    let Some(record) = A::record(number) else { return 0 };
    let Some(facts) = record.glance() else { return 0 };
    let Some(score) = facts.recyclable(hand.now_ns, config::timeouts()) else { return 0 };
    if score >= hand.score {
        (hand.best, hand.score) = (number, score);
    }
    i64::from(Facts::is_free_score(score))
}

/// Locks a record, and keeps it if it may still be taken now that nobody else can change it.
#[inline(always)]
fn take<A: Tables>(record: Record<A>, now_ns: u64) -> bool {
    let Some(mut locked) = record.try_lock() else { return false };
    let facts = locked.flow().facts;
    let Some(score) = facts.recyclable(now_ns, config::timeouts()) else {
        locked.unlock();
        return false;
    };
    if facts.protocol != 0 {
        report::count(facts.made_room(score));
        clear(&mut locked);
    }
    true
}
