//! The masquerade address and port of a flow, chosen at its first packet's egress.
//!
//! The address is what MASQUERADE would take: the egress device's, else the node's. The tuple of
//! the backend's answer, inserted only where it is new, is what keeps two flows from one port.

use core::ffi::c_void;

use svclb_common::{
    flow::{Facts, State},
    outcome::Outcome,
    tuple::Tuple,
};

use super::{clear, find};
use crate::{
    config,
    maps::{self, Tables},
    raw::{self, Record, Skb},
};

/// How many ports are tried for one packet; the next packet goes on from there.
const TRIES: u32 = 2048;

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
        let count = u32::from(config::masquerade_ports().1).min(TRIES);
        raw::repeat(count, &mut search, try_port::<A>);
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
extern "C" fn try_port<A: Tables>(_index: u32, search: *mut Search<A>) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let search = unsafe { &mut *search };
    let (first, count) = config::masquerade_ports();
    if count == 0 {
        return 1;
    }
    let number = maps::next_masquerade::<A>() % u32::from(count);
    search.answer.dport = first.wrapping_add(number as u16);
    if raw::has_socket(search.skb, &search.answer) {
        return 0;
    }
    search.found = reserve(search);
    i64::from(search.found)
}

/// Takes the answer's tuple where it is free or its flow has ended.
#[inline(always)]
fn reserve<A: Tables>(search: &Search<A>) -> bool {
    if A::insert_tuple(&search.answer, search.number).is_ok() {
        return true;
    }
    let Some(holder) = find(&search.answer) else { return false };
    // (This flow's own record is locked, so it is not among the candidates.)
    let Some(mut locked) = holder.try_lock() else { return false };
    let ended =
        locked.flow().returned() == search.answer && has_ended(&locked.flow().facts, search.now_ns);
    if ended {
        clear(&mut locked);
    }
    locked.unlock();
    ended && A::insert_tuple(&search.answer, search.number).is_ok()
}

#[inline(always)]
fn has_ended(facts: &Facts, now_ns: u64) -> bool {
    facts.state() == State::Closed || facts.expired(now_ns, &config::timeouts())
}
