//! This CPU's desk: what is known of the packet at hand. The stack has only 512 bytes.
//!
//! A hook runs with softirqs off, so a desk has one packet on it at a time; each place is written
//! before it is read for that packet, and not again while somebody looks at it.

use svclb_common::{
    flow::{Flow, Role},
    outcome::Outcome,
    tuple::{Tuple, side},
};

use crate::{flow::View, maps::Tables, packet::Packet};

/// The places of a desk. Value of `desk4`/`desk6`.
#[repr(C)]
pub struct Desk<A> {
    /// The packet.
    packet: Packet<A>,
    /// Its flow.
    view: View<A>,
    /// The key that is being looked up.
    key: Tuple<A>,
}

/// Puts the packet on the desk.
#[inline(always)]
pub fn packet<A: Tables>(packet: Packet<A>) -> Result<&'static Packet<A>, Outcome> {
    let desk = A::desk().ok_or(Outcome::FlowBusy)?;
    // SAFETY: the desk is this CPU's; see above.
    unsafe {
        (*desk).packet = packet;
        Ok(&(*desk).packet)
    }
}

/// Puts what a packet of `role` needs of its flow on the desk.
#[inline(always)]
pub fn fill_view<A: Tables>(flow: &Flow<A>, role: Role) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        let view = unsafe { &mut (*desk).view };
        flow.rewrite(role, &mut view.to);
        view.facts = flow.facts;
    }
}

/// What lies there since.
#[inline(always)]
pub fn view<A: Tables>() -> Option<&'static View<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).view })
}

/// Puts a key on the desk, where a helper can read it.
#[inline(always)]
pub fn key<A: Tables>(key: Tuple<A>) -> Option<&'static Tuple<A>> {
    let desk = A::desk()?;
    // SAFETY: as above.
    unsafe {
        (*desk).key = key;
        Some(&(*desk).key)
    }
}

/// Puts the key between the hooks of `tuple` on the desk.
///
/// The same as `key(tuple.between())`, with each order written from a branch of its own: the
/// choice as a value would be another copy on the stack.
#[inline(never)]
pub fn between<A: Tables>(tuple: &Tuple<A>) -> Option<&'static Tuple<A>> {
    let desk = A::desk()?;
    // SAFETY: as above.
    let key = unsafe { &mut (*desk).key };
    let (src, dst, sport, dport) = if tuple.src_is_higher() {
        (&tuple.dst, &tuple.src, tuple.dport, tuple.sport)
    } else {
        (&tuple.src, &tuple.dst, tuple.sport, tuple.dport)
    };
    (key.src, key.dst, key.sport, key.dport) = (*src, *dst, sport, dport);
    (key.protocol, key.side, key.pad) = (tuple.protocol, side::BETWEEN, [0; 2]);
    Some(key)
}
