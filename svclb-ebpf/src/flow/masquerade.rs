//! The masquerade address and port of a flow, chosen at its first packet's egress.
//!
//! The address is what MASQUERADE would take: the egress device's, else the node's. The tuple of
//! the backend's answer, inserted only where it is new, is what keeps two flows from one port.

use core::ffi::c_void;

use svclb_common::{
    flow::{Facts, Role},
    outcome::Outcome,
    tuple::Tuple,
};

use super::{clear, find};
use crate::{
    config, desk,
    maps::{self, Tables},
    raw::{self, Record, Skb},
    report,
};

/// How many ports are tried for one packet; the next packet goes on from there.
const TRIES: u32 = 2048;
/// After how many of them flows make room whose client has not gone on after an answer: ports are
/// taken oldest first, so those of a flood are the first that it loses again.
const POLITE: u32 = 16;

/// One search for a port.
struct Search<A> {
    /// The answer's tuple; its destination port is what is searched.
    answer: Tuple<A>,
    number: u32,
    skb: *mut c_void,
    now_ns: u64,
    found: bool,
}

/// Chooses address and port for the flow, if no other CPU has.
#[inline(never)]
pub fn masquerade<A: Tables>(skb: &Skb, record: Record<A>) -> Result<(), Outcome> {
    let address = address::<A>(skb.ifindex()).ok_or(Outcome::NoMasqAddress)?;
    let mut locked = record.try_lock().ok_or(Outcome::FlowBusy)?;
    let flow = locked.flow();
    if flow.facts.masq_port == 0 {
        flow.masq = address;
        let mut search = Search {
            answer: flow.returned(),
            number: record.number(),
            skb: skb.as_ptr(),
            now_ns: raw::now_ns(),
            found: false,
        };
        let count = u32::from(config::masquerade_ports().1);
        // Of a few ports each is tried politely, and then again.
        raw::repeat(count.min(TRIES) + count.min(POLITE), &mut search, try_port::<A>);
        if !search.found {
            // The client's next attempt starts afresh, when a port may be free.
            clear(&mut locked);
            locked.unlock();
            return Err(Outcome::NoMasqPort);
        }
        flow.facts.masq_port = search.answer.dport;
    }
    locked.unlock();
    Ok(())
}

/// The egress device's address, else the node's.
#[inline(always)]
fn address<A: Tables>(ifindex: u32) -> Option<A> {
    let of = |ifindex| {
        let address = A::masquerade_address(&maps::device(ifindex)?);
        (!address.is_any()).then_some(address)
    };
    of(ifindex).or_else(|| of(0))
}

/// Tries the next port in turn; 1 ends the search.
extern "C" fn try_port<A: Tables>(index: u32, search: *mut Search<A>) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let search = unsafe { &mut *search };
    let (first, count) = config::masquerade_ports();
    if count == 0 {
        return 1;
    }
    let number = maps::next_masquerade::<A>() % u32::from(count);
    search.answer.dport = first.wrapping_add(number as u16);
    // Markers of direct connections outlive them: when half of the range is marked, they are stale.
    let polite = index < u32::from(count) / 2;
    if raw::has_socket(search.skb, &search.answer) || (polite && is_own(&search.answer)) {
        return 0;
    }
    search.found = reserve(search, index < u32::from(count).min(POLITE));
    i64::from(search.found)
}

/// Whether the answer would be that of a connection in the node's own name.
#[inline(always)]
fn is_own<A: Tables>(answer: &Tuple<A>) -> bool {
    desk::between(answer).is_some_and(A::is_direct)
}

/// Takes the answer's tuple where it is free or its flow makes room; one that is not over does so
/// unless this is `polite`.
#[inline(always)]
fn reserve<A: Tables>(search: &Search<A>, polite: bool) -> bool {
    let take = || A::insert_tuple(&search.answer, search.number).is_ok();
    take() || (holder(&search.answer, search.now_ns, polite) == Holder::Nobody && take())
}

/// Whether a masqueraded flow waits for `answer`. One that is over but for its time-out is ended
/// and waits no more.
///
/// # Errors
/// `FlowBusy` if another CPU is about to begin or end a flow there; the next packet will see which.
#[inline(always)]
pub fn is_awaited<A: Tables>(answer: &Tuple<A>, now_ns: u64) -> Result<bool, Outcome> {
    match holder(answer, now_ns, true) {
        Holder::Nobody => Ok(false),
        Holder::Flow => Ok(true),
        Holder::Busy => Err(Outcome::FlowBusy),
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    /// A masqueraded flow.
    Flow,
    /// Another CPU is at it.
    Busy,
}

/// Who waits for `answer`: not a flow that is over, which is ended, nor, unless this is `polite`,
/// one whose client has not gone on after an answer.
///
/// A flow that goes on is not locked for it, or its own packets would find it busy: below a bridge,
/// every datagram may ask this.
#[inline(never)]
fn holder<A: Tables>(answer: &Tuple<A>, now_ns: u64, polite: bool) -> Holder {
    let Some(record) = find(answer) else { return Holder::Nobody };
    let asked = record.ask(|flow| {
        let waits = flow.role_received(answer) == Some(Role::Return);
        (waits, score(&flow.facts, now_ns, polite).is_some())
    });
    match asked {
        Ok((false, _)) => return Holder::Nobody,
        Ok((true, false)) => return Holder::Flow,
        Ok((true, true)) => {}
        Err(_) => return Holder::Busy,
    }
    let Some(mut locked) = record.try_lock() else { return Holder::Busy };
    let flow = locked.flow();
    let waits = flow.role_received(answer) == Some(Role::Return);
    let score = score(&flow.facts, now_ns, polite);
    if waits && let Some(score) = score {
        report::count(flow.facts.made_room(score));
        clear(&mut locked);
    }
    locked.unlock();
    if waits && score.is_none() { Holder::Flow } else { Holder::Nobody }
}

/// How well a flow's port can be taken, if it can.
#[inline(always)]
fn score(facts: &Facts, now_ns: u64, polite: bool) -> Option<u64> {
    let score = facts.recyclable(now_ns, config::timeouts());
    score.filter(|score| !polite || Facts::is_over_score(*score))
}
