//! What both hooks have in common: a look at the addresses, parsing, counting.

use aya_ebpf::bindings::tcx_action_base::TCX_NEXT;
use svclb_common::{
    address::{V4, V6},
    outcome::Outcome,
};

use crate::{
    packet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Network, Packet, Step, Stop},
    raw::{Note, Skb},
    report,
};

/// One of the two hooks of a device.
pub trait Hook {
    /// Its note on a packet that it has rewritten.
    const NOTE: Note;

    /// The cheap probe: whether a packet between these addresses may be svclb's business.
    fn concerns<A: Network>(src: &A, dst: &A) -> bool;

    /// Handles a well-formed packet between such addresses.
    fn handle<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome>;
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
    match examine::<H, A>(skb) {
        Ok(packet) => {
            let result = H::handle(skb, packet);
            report::conclude(skb, &packet.tuple, result)
        }
        Err(stop) => report::unparsed(stop),
    }
}

#[inline(always)]
fn examine<H: Hook, A: Network>(skb: &mut Skb) -> Step<&'static Packet<A>> {
    let (src, dst) = packet::ends::<A>(skb).ok_or(Stop::NotOurs)?;
    if !H::concerns(&src, &dst) || skb.is_rewritten(H::NOTE) {
        return Err(Stop::NotOurs);
    }
    packet::parse(skb)
}
