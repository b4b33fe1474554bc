//! The egress hook: gives an answer its frontend, and a client's packet its masquerade address.

use svclb_common::{
    flow::{Role, flags},
    outcome::Outcome,
};

use crate::{
    decide,
    flow::{self, Known, View},
    hook::Hook,
    maps,
    packet::{self, Network, Packet, Step, Stop},
    raw::{self, Note, Skb},
    report,
};

/// The egress hook.
pub struct Egress;

impl Hook for Egress {
    const NOTE: Note = Note::Egress;

    #[inline(always)]
    fn concerns<A: Network>(src: &A, dst: &A) -> bool {
        maps::concern(src).backend || maps::concern(dst).backend
    }

    #[inline(always)]
    fn handle<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome> {
        let Some(known) = flow::between(&packet.tuple)? else {
            decide::note_own(packet);
            return Err(Stop::NotOurs);
        };
        match known.role {
            Role::RequestOut => send(skb, packet, &known),
            _ if known.is_elsewhere(skb) => Err(Stop::NotOurs),
            _ => reply(skb, packet, &known),
        }
    }
}

#[inline(always)]
fn send<A: Network>(skb: &mut Skb, packet: &Packet<A>, known: &Known<A>) -> Step<Outcome> {
    if known.view.facts.flags & flags::MASQUERADE == 0 {
        return Err(Stop::NotOurs);
    }
    if known.view.facts.masq_port != 0 {
        packet::rewrite(skb, packet, &known.view.to)?;
    } else {
        flow::masquerade(skb, known.record)?;
        let known = flow::between(&packet.tuple)?.ok_or(Outcome::FlowBusy)?;
        packet::rewrite(skb, packet, &known.view.to)?;
    }
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
