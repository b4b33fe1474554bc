//! The ingress hook: gives a client's packet its backend, and a masqueraded answer its client.

use svclb_common::{
    flow::{self as rules, Role, State, flags},
    outcome::Outcome,
    tuple::{Tuple, UDP, side},
};

use crate::{
    bridge, config, decide,
    flow::{self, Found, Known, View},
    hook::Hook,
    maps,
    packet::{self, Network, Packet, Step, Stop},
    raw::{self, Back, Note, Skb},
    report,
};

/// The ingress hook.
pub struct Ingress;

impl Hook for Ingress {
    const NOTE: Note = Note::Ingress;
    const BACK: Back = Back::Out;
    const AGAIN: Back = Back::In;
    const SIDE: u8 = side::RECEIVED;

    #[inline(always)]
    fn concerns<A: Network>(_skb: &Skb, _src: &A, dst: &A) -> bool {
        let concern = maps::concern(dst);
        concern.frontend || concern.backend
    }

    #[inline(always)]
    fn handle<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome> {
        let now = raw::now_ns();
        let known = match current(packet, now)? {
            Some(known) if known.is_elsewhere(skb) => return Err(Stop::NotOurs),
            Some(known) => known,
            None => begin(skb, packet, now)?,
        };
        forward(skb, packet, &known, now)
    }

    #[inline(always)]
    fn look<A: Network>(tuple: &Tuple<A>) -> Found {
        flow::look_received(tuple)
    }

    #[inline(always)]
    fn translates<A: Network>(skb: &Skb, known: &Known<A>) -> bool {
        !is_from_elsewhere(known) && !known.is_elsewhere(skb)
    }

    #[inline(always)]
    fn translated<A: Network>(skb: &mut Skb, known: &Known<A>) -> Result<(), Outcome> {
        if known.role == Role::Request { bridge::stay(skb, known) } else { Ok(()) }
    }
}

/// The flow that the packet opens, or that another CPU has just opened for its like.
#[inline(always)]
fn begin<A: Network>(skb: &Skb, packet: &Packet<A>, now: u64) -> Step<Known<A>> {
    let target = decide::target(skb, packet)?;
    flow::begin(skb, packet, target, now)?;
    let known = flow::received(&packet.tuple)?.ok_or(Outcome::FlowBusy)?;
    if known.view.to.sport != packet.tuple.sport {
        let direct = known.view.facts.flags & flags::DIRECT != 0;
        let moved = if direct { Outcome::DirectMoved } else { Outcome::PortMoved };
        report::note(skb, &packet.tuple, moved);
    }
    Ok(known)
}

/// The flow that the packet continues.
#[inline(always)]
fn current<A: Network>(packet: &Packet<A>, now: u64) -> Step<Option<Known<A>>> {
    let Some(known) = flow::received(&packet.tuple)? else { return Ok(None) };
    if is_from_elsewhere(&known) {
        return Err(Stop::NotOurs);
    }
    let Some(why) = ending(&known, packet, now) else {
        known.require_endpoint()?;
        return Ok(Some(known));
    };
    if flow::release(known.record, &packet.tuple) {
        report::count(why);
    }
    Ok(None)
}

/// Whoever sends in the node's name from elsewhere has no part in the node's own connections.
#[inline(always)]
fn is_from_elsewhere<A: Network>(known: &Known<A>) -> bool {
    known.role == Role::Request && known.view.facts.flags & flags::OWN != 0
}

/// Why a client's packet must not continue the flow it belongs to.
#[inline(always)]
fn ending<A: Network>(known: &Known<A>, packet: &Packet<A>, now: u64) -> Option<Outcome> {
    if known.role != Role::Request {
        return None;
    }
    let state = known.view.facts.state();
    if known.view.facts.expired(now, config::timeouts()) {
        return Some(Outcome::Expired);
    }
    if state == State::Closed && rules::is_opening_segment(packet.tcp_flags) {
        return Some(Outcome::Reused);
    }
    // A datagram belongs to no connection that would be cut, nor does a SYN nobody has answered.
    let uncommitted = packet.tuple.protocol == UDP || state == State::Opening;
    (uncommitted && !decide::still_serves(known)).then_some(Outcome::Forgotten)
}

#[inline(always)]
fn forward<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    known: &Known<A>,
    now: u64,
) -> Step<Outcome> {
    packet::rewrite(skb, packet, &known.view.to)?;
    skb.note_rewritten(Note::Ingress);
    let Known { record, role, view: View { facts, .. } } = known;
    if *role == Role::Return {
        if facts.flags & flags::OWN != 0 {
            // At egress it is no packet of svclb's any more, if it gets there.
            record.advance(facts, *role, packet.tcp_flags, skb.ifindex(), now);
        }
        return Ok(Outcome::Returned);
    }
    record.advance(facts, *role, packet.tcp_flags, skb.ifindex(), now);
    report::traffic(skb, facts, *role);
    bridge::stay(skb, known)?;
    Ok(Outcome::Request)
}
