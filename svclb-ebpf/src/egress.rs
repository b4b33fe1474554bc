//! The egress hook: gives an answer its frontend, and a client's packet its masquerade address.

use svclb_common::{
    flow::{Facts, Role, State, flags},
    outcome::Outcome,
    tuple::{Tuple, side},
};

use crate::{
    decide, desk, error,
    flow::{self, Found, Known, View},
    hook::Hook,
    maps,
    packet::{self, Network, Packet, Step, Stop},
    raw::{self, Back, Note, Skb},
    report,
};

/// The egress hook.
pub struct Egress;

impl Hook for Egress {
    const NOTE: Note = Note::Egress;
    const BACK: Back = Back::In;
    const AGAIN: Back = Back::Out;
    const SIDE: u8 = side::BETWEEN;

    #[inline(always)]
    fn concerns<A: Network>(skb: &Skb, src: &A, dst: &A) -> bool {
        let to = maps::concern(dst);
        maps::concern(src).backend || to.backend || to.frontend || error::concerns::<A>(skb)
    }

    #[inline(always)]
    fn handle<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome> {
        let known = match current(packet)? {
            Some(known) => known,
            None => begin(skb, packet)?,
        };
        match known.role {
            Role::RequestOut => send(skb, packet, &known),
            _ if known.is_elsewhere(skb) => Err(Stop::NotOurs),
            _ => {
                known.require_endpoint()?;
                reply(skb, packet, &known)
            }
        }
    }

    #[inline(always)]
    fn look<A: Network>(tuple: &Tuple<A>) -> Found {
        flow::look_between(tuple)
    }

    #[inline(always)]
    fn translates<A: Network>(skb: &Skb, known: &Known<A>) -> bool {
        if known.role == Role::RequestOut {
            return known.view.facts.masq_port != 0;
        }
        !known.is_elsewhere(skb)
    }

    #[inline(always)]
    fn translated<A: Network>(_skb: &mut Skb, _known: &Known<A>) -> Result<(), Outcome> {
        Ok(())
    }
}

/// The flow that the packet continues.
#[inline(always)]
fn current<A: Network>(packet: &Packet<A>) -> Step<Option<Known<A>>> {
    let Some(known) = flow::between(&packet.tuple)? else { return Ok(None) };
    let facts = &known.view.facts;
    let reused = is_own(facts) && facts.state() == State::Closed && decide::opens(packet);
    if !reused || known.role != Role::RequestOut {
        return Ok(Some(known));
    }
    if flow::release(known.record, &packet.tuple) {
        report::count(Outcome::Reused);
    }
    Ok(None)
}

/// The flow of a connection in the node's own name that needs one.
#[inline(always)]
fn begin<A: Network>(skb: &Skb, packet: &Packet<A>) -> Step<Known<A>> {
    let now = raw::now_ns();
    let target = decide::own(packet, now)?;
    flow::begin(skb, packet, target, now)?;
    let known = flow::between(&packet.tuple)?.ok_or(Outcome::FlowBusy)?;
    report::note(skb, &packet.tuple, Outcome::DirectMoved);
    Ok(known)
}

#[inline(always)]
fn is_own(facts: &Facts) -> bool {
    facts.flags & flags::OWN != 0
}

#[inline(always)]
fn send<A: Network>(skb: &mut Skb, packet: &Packet<A>, known: &Known<A>) -> Step<Outcome> {
    let (facts, now) = (&known.view.facts, raw::now_ns());
    // (The agent speaks in a severed flow's name, as the endpoint knows it.)
    if facts.flags & flags::MASQUERADE == 0 || facts.is_severed() {
        return Err(Stop::NotOurs);
    }
    if is_own(facts) {
        // No ingress hook has seen it.
        known.record.advance(facts, known.role, packet.tcp_flags, skb.ifindex(), now);
    }
    if facts.masq_port != 0 {
        return finish(skb, packet, known, now);
    }
    match flow::masquerade(skb, known.record) {
        // Busy: another CPU is choosing for a packet of the same flow.
        Ok(()) | Err(Outcome::FlowBusy) => {}
        Err(why) => return Err(why.into()),
    }
    let known = flow::between(&packet.tuple)?.ok_or(Outcome::FlowBusy)?;
    if known.view.facts.masq_port == 0 {
        return Err(Outcome::FlowBusy.into());
    }
    finish(skb, packet, &known, now)
}

#[inline(always)]
fn finish<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    known: &Known<A>,
    now: u64,
) -> Step<Outcome> {
    packet::rewrite(skb, packet, &known.view.to)?;
    desk::note_sent(&known.view.to, now);
    Ok(Outcome::Masqueraded)
}

#[inline(always)]
fn reply<A: Network>(skb: &mut Skb, packet: &Packet<A>, known: &Known<A>) -> Step<Outcome> {
    let Known { record, role, view: View { to, facts } } = known;
    record.advance(facts, *role, packet.tcp_flags, skb.ifindex(), raw::now_ns());
    report::traffic(skb, facts, *role);
    packet::rewrite(skb, packet, to)?;
    skb.note_rewritten(Note::Egress);
    Ok(Outcome::Reply)
}
