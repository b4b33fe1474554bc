//! Finding a record for a new flow: a clock hand over the table.
//!
//! The hand passes each record in turn, so the ones ahead are the oldest. It takes the first that
//! is free or expired; else the best of what it saw: a closed flow, or the oldest without a reply.
//! A flow with traffic in both directions is never taken. Nothing here needs the agent.

use svclb_common::{
    flow::{Facts, State},
    outcome::Outcome,
};

use super::clear;
use crate::{
    config,
    maps::{self, Tables},
    raw::{self, Locked, Record},
    report,
};

/// How many records the hand passes for one new flow.
const REACH: u32 = 16;
/// Spreads the CPUs' hands over the table: odd, near the golden section of 2^32.
const SPREAD: u32 = 0x9e37_79b1;

/// Takes a record for a new flow; what it held before is gone.
#[inline(never)]
pub fn claim<A: Tables>(now_ns: u64) -> Result<Locked<A>, Outcome> {
    let (timeouts, mask) = (config::timeouts(), config::flow_slots().wrapping_sub(1));
    let cursor = maps::cursor::<A>().ok_or(Outcome::FlowTableFull)?;
    let start = cursor.wrapping_add(raw::cpu().wrapping_mul(SPREAD));
    let mut best: Option<(u64, Record<A>)> = None;
    for step in 0..REACH {
        let Some(record) = A::record(start.wrapping_add(step) & mask) else { continue };
        let Some(score) = record.recyclable(now_ns, &timeouts) else { continue };
        if Facts::is_free_score(score)
            && let Some(locked) = take(record, now_ns)
        {
            *cursor = cursor.wrapping_add(step + 1);
            return Ok(locked);
        }
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, record));
        }
    }
    *cursor = cursor.wrapping_add(REACH);
    best.and_then(|(_, record)| take(record, now_ns)).ok_or(Outcome::FlowTableFull)
}

/// Takes a record if it may still be taken, now that nobody else can change it.
#[inline(always)]
fn take<A: Tables>(record: Record<A>, now_ns: u64) -> Option<Locked<A>> {
    let mut locked = record.try_lock()?;
    let facts = locked.flow().facts;
    let Some(score) = facts.recyclable(now_ns, &config::timeouts()) else {
        locked.unlock();
        return None;
    };
    if facts.protocol != 0 {
        report::count(match facts.state() {
            _ if Facts::is_free_score(score) => Outcome::Expired,
            State::Closed => Outcome::Reused,
            _ => Outcome::Evicted,
        });
        clear(&mut locked);
    }
    Some(locked)
}
