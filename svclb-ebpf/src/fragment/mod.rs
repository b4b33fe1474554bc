//! Fragments. A first one goes the way of any packet, and what became of it is remembered; later
//! ones, which have no ports, are given the same. Those that come before their first are held and
//! sent again at the same hook when it has come.
//!
//! Every hook does this for itself: what it knows of a datagram is the addresses that fragments
//! have when they get there.

mod datagrams;
mod hold;
mod release;

use aya_ebpf::bindings::tcx_action_base::{TCX_DROP, TCX_NEXT};
use svclb_common::{
    fragment::{Fate, counted, state},
    outcome::Outcome,
    tuple::Tuple,
};

pub use hold::sweep;
pub use release::Aside;

use crate::{
    desk,
    hook::Hook,
    packet::{Network, Step},
    raw::{self, Skb},
    report,
};

/// Remembers what became of the packet if it is a first fragment, and sends on what waited for it.
/// `action` is the hook's for this packet; the answer is what it is to be then.
///
/// What is known goes over the desk, not in registers: so the kernel's verifier follows the rest
/// once, not once for each outcome.
#[inline(always)]
pub fn lead<H: Hook, A: Network>(skb: &mut Skb, result: Step<Outcome>, action: i32) -> i32 {
    if !desk::part::<A>().is_some_and(|part| part.is_part()) {
        return action;
    }
    let Some(fate) = desk::fate::<A>() else { return action };
    fate.state = if action == TCX_NEXT { state::SENT } else { state::DROPPED };
    fate.counted = match result {
        Ok(Outcome::Request) => counted::REQUEST,
        Ok(Outcome::Reply) => counted::REPLY,
        _ => counted::NOT,
    };
    if remember::<H, A>(skb) == release::SPOILT { TCX_DROP } else { action }
}

#[inline(never)]
fn remember<H: Hook, A: Network>(skb: &mut Skb) -> u32 {
    let now = raw::now_ns();
    let Some(fate) = desk::fate::<A>() else { return release::KEPT };
    write_fate(skb, fate);
    let is_sent = fate.state == state::SENT;
    let held = datagrams::arrived::<A>(now);
    if held == 0 {
        return release::KEPT;
    }
    if is_sent {
        return release::send::<H>(skb, held, now);
    }
    release::discard(held);
    release::KEPT
}

/// Writes the rest of what became of a first fragment: its addresses are now what later ones get.
#[inline(always)]
fn write_fate<A: Network>(skb: &Skb, fate: &mut Fate<A>) {
    match A::ends(skb) {
        Some(ends) => (fate.src, fate.dst) = ends,
        None => fate.state = state::DROPPED,
    }
    if let Some(view) = desk::view::<A>() {
        (fate.service, fate.backend_id) = (view.facts.service, view.facts.backend_id);
    }
    // A request may have been kept on its bridge.
    let mac = if fate.counted == counted::REQUEST { skb.mac() } else { None };
    fate.mac = mac.unwrap_or_default();
}

/// Gives a later fragment what its datagram's first one was given, or holds it until that comes;
/// returns the hook's action.
#[inline(never)]
pub fn follow<H: Hook, A: Network>(skb: &mut Skb) -> i32 {
    let now = raw::now_ns();
    let mut known = datagrams::known::<A>(now);
    if known < u32::from(state::SENT) {
        match hold::hold::<A>(skb, now) {
            hold::HELD => {
                report::count(Outcome::FragmentHeld);
                return TCX_DROP;
            }
            // While it was stored, the first one came.
            hold::LATE => known = datagrams::known::<A>(now),
            _ => {}
        }
    }
    if known == u32::from(state::SENT) {
        return send::<H, A>(skb);
    }
    if known == u32::from(state::DROPPED) {
        report::count(Outcome::FragmentDropped);
        return TCX_DROP;
    }
    report::count(Outcome::FragmentUnheld);
    TCX_NEXT
}

/// Sends a later fragment after its first one.
#[inline(always)]
fn send<H: Hook, A: Network>(skb: &mut Skb) -> i32 {
    let (Some(fate), Some(key)) = (desk::fate::<A>(), desk::datagram::<A>()) else {
        return TCX_NEXT;
    };
    if fate.src == key.src && fate.dst == key.dst {
        return TCX_NEXT;
    }
    let from = Tuple::received(key.protocol, key.src, 0, key.dst, 0);
    let to = Tuple::received(key.protocol, fate.src, 0, fate.dst, 0);
    let mut written = A::store_addresses(skb, &from, &to);
    if written.is_ok() && fate.mac != [0; 6] {
        written = skb.store_mac(&fate.mac);
    }
    if written.is_err() {
        report::count(Outcome::RewriteFailed);
        return TCX_DROP;
    }
    skb.note_rewritten(H::NOTE);
    if fate.counted != counted::NOT {
        let from_client = fate.counted == counted::REQUEST;
        report::packets(skb, fate.service, fate.backend_id, from_client);
    }
    report::count(Outcome::Fragment);
    TCX_NEXT
}
