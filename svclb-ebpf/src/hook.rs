//! What both hooks have in common: a look at the addresses, parsing, counting.

use aya_ebpf::bindings::tcx_action_base::{TCX_DROP, TCX_NEXT, TCX_REDIRECT};
use svclb_common::{
    address::{V4, V6},
    outcome::{Kind, Outcome},
    tuple::Tuple,
};

use crate::{
    answer, error,
    flow::{Found, Known},
    fragment,
    packet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Network, Packet, Step, Stop},
    raw::{Back, Note, Skb},
    report, service,
};

/// One of the two hooks of a device.
pub trait Hook {
    /// Its note on a packet that it has rewritten.
    const NOTE: Note;
    /// Where an answer of svclb's own goes.
    const BACK: Back;
    /// Where a packet goes that is to meet the hook again.
    const AGAIN: Back;
    /// Which tuples it sees: one of [`svclb_common::tuple::side`].
    const SIDE: u8;

    /// The cheap probe: whether a packet between these addresses may be svclb's business.
    fn concerns<A: Network>(skb: &Skb, src: &A, dst: &A) -> bool;

    /// Handles a well-formed packet between such addresses.
    fn handle<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome>;

    /// Looks for the flow that a packet of `tuple` belongs to at this hook.
    fn look<A: Network>(tuple: &Tuple<A>) -> Found;

    /// Whether this hook of this device translates errors about such packets of the flow.
    fn translates<A: Network>(skb: &Skb, known: &Known<A>) -> bool;

    /// What is left to do with an error that has been translated.
    fn translated<A: Network>(skb: &mut Skb, known: &Known<A>) -> Result<(), Outcome>;
}

/// Handles one packet; returns the hook's action.
#[inline(always)]
pub fn run<H: Hook>(mut skb: Skb) -> i32 {
    match skb.protocol() {
        ETHERTYPE_IPV4 => family::<H, V4>(&mut skb),
        ETHERTYPE_IPV6 => family::<H, V6>(&mut skb),
        _ => TCX_NEXT,
    }
}

#[inline(never)]
fn family<H: Hook, A: Network>(skb: &mut Skb) -> i32 {
    if let Err(stop) = examine::<H, A>(skb) {
        return report::unparsed(stop);
    }
    match packet::parse::<A>(skb, H::SIDE) {
        Ok(packet) => {
            let result = handle::<H, A>(skb, packet);
            let action = conclude::<H, A>(skb, packet, result);
            fragment::lead::<H, A>(skb, result, action)
        }
        Err(Stop::Later) => fragment::follow::<H, A>(skb),
        Err(stop) => fragment::lead::<H, A>(skb, Err(stop), report::unparsed(stop)),
    }
}

#[inline(always)]
fn handle<H: Hook, A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome> {
    if packet.tuple.protocol == A::ICMP {
        return if A::is_error(packet.icmp_type) {
            error::translate::<H, A>(skb, packet)
        } else {
            answer::echo(skb, packet, H::BACK)
        };
    }
    H::handle(skb, packet)
}

/// Counts what became of the packet and turns it into the hook's action.
#[inline(always)]
fn conclude<H: Hook, A: Network>(skb: &mut Skb, packet: &Packet<A>, result: Step<Outcome>) -> i32 {
    let outcome = match result {
        Ok(outcome) | Err(Stop::Because(outcome)) => outcome,
        Err(Stop::NotOurs | Stop::Later) => return TCX_NEXT,
    };
    match outcome.kind() {
        Kind::Dropped => drop(skb, packet, outcome),
        Kind::Refused => match answer::refuse(skb, packet, H::BACK) {
            Ok(()) => {
                report::note(skb, &packet.tuple, outcome);
                TCX_REDIRECT
            }
            Err(why) => drop(skb, packet, why),
        },
        Kind::Answered => {
            report::count(outcome);
            TCX_REDIRECT
        }
        _ => {
            report::count(outcome);
            TCX_NEXT
        }
    }
}

#[inline(always)]
fn drop<A: Network>(skb: &Skb, packet: &Packet<A>, why: Outcome) -> i32 {
    report::note(skb, &packet.tuple, why);
    TCX_DROP
}

/// Whether the packet's addresses may concern svclb.
#[inline(always)]
fn examine<H: Hook, A: Network>(skb: &mut Skb) -> Step<()> {
    let (src, dst) = packet::ends::<A>(skb).ok_or(Stop::NotOurs)?;
    if skb.is_rewritten(H::NOTE) {
        return Err(Stop::NotOurs);
    }
    if H::concerns(skb, &src, &dst) {
        return Ok(());
    }
    if service::is_unallocated(&dst) {
        return Err(nobody(skb, src, dst));
    }
    Err(Stop::NotOurs)
}

/// Whatever the packet is, nobody has its destination.
#[inline(never)]
fn nobody<A: Network>(skb: &Skb, src: A, dst: A) -> Stop {
    report::event(skb, &Tuple::received(0, src, 0, dst, 0), Outcome::Unallocated);
    Outcome::Unallocated.into()
}
