//! This CPU's desk: what is known of the packet at hand. The stack has only 512 bytes.
//!
//! A hook runs with softirqs off, so a desk has one packet on it at a time; each place is written
//! before it is read for that packet, and not again while somebody looks at it.

use svclb_common::{
    flow::{Flow, Role},
    fragment::{DatagramKey, Fate, Part},
    frontend::Frontend,
    tuple::{Tuple, side},
};

use crate::{
    decide::Target, error::Quote, flow::View, maps::Tables, packet::Packet, service::NONE,
};

/// The places of a desk. Value of `desk4`/`desk6`.
#[repr(C)]
pub struct Desk<A> {
    /// The packet.
    packet: Packet<A>,
    /// The packet that it quotes.
    quote: Quote<A>,
    /// Which part of a datagram it is.
    part: Part,
    /// Of which datagram, if it is not whole.
    datagram: DatagramKey<A>,
    /// Where that datagram is in its bucket: the place it has, or is to have.
    place: Place,
    /// What became of that datagram's first fragment.
    fate: Fate<A>,
    /// The frontend that it asks.
    frontend: Frontend,
    /// Where it goes if it opens a flow.
    target: Target<A>,
    /// Its flow.
    view: View<A>,
    /// The key that is being looked up.
    key: Tuple<A>,
    /// The packet that this CPU masqueraded last, as it was sent.
    sent: Tuple<A>,
    /// When: `CLOCK_MONOTONIC` nanoseconds.
    sent_ns: u64,
}

/// A place in a bucket of datagrams.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Place {
    /// Its number.
    pub number: u32,
    /// 1 if the datagram is there.
    pub is_found: u32,
}

/// For how long [`has_just_sent`] remembers, in ticks of the clock a few: a packet passes the
/// devices below the one that it was masqueraded at in microseconds.
const JUST_NOW_NS: u64 = 20_000_000;

/// Puts the packet on the desk.
#[inline(always)]
pub fn put_packet<A: Tables>(packet: Packet<A>) {
    if let Some(desk) = A::desk() {
        // SAFETY: the desk is this CPU's; see above.
        unsafe { (*desk).packet = packet };
    }
}

/// The packet that lies there since.
#[inline(always)]
pub fn packet<A: Tables>() -> Option<&'static Packet<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).packet })
}

/// Puts the packet that an error quotes on the desk.
#[inline(always)]
pub fn put_quote<A: Tables>(quote: Quote<A>) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).quote = quote };
    }
}

/// The quoted packet that lies there since.
#[inline(always)]
pub fn quote<A: Tables>() -> Option<&'static Quote<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).quote })
}

/// Puts which part of a datagram the packet is on the desk.
#[inline(always)]
pub fn put_part<A: Tables>(part: Part) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).part = part };
    }
}

/// What lies there since.
#[inline(always)]
pub fn part<A: Tables>() -> Option<&'static Part> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).part })
}

/// Puts the datagram that the packet is a part of on the desk.
#[inline(always)]
pub fn put_datagram<A: Tables>(key: DatagramKey<A>) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).datagram = key };
    }
}

/// The datagram that lies there since.
#[inline(always)]
pub fn datagram<A: Tables>() -> Option<&'static DatagramKey<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).datagram })
}

/// Puts that datagram's place in its bucket on the desk.
#[inline(always)]
pub fn put_place<A: Tables>(place: Place) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).place = place };
    }
}

/// The place that lies there since.
#[inline(always)]
pub fn place<A: Tables>() -> Option<Place> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { (*desk).place })
}

/// A place for what became of that datagram's first fragment.
#[inline(always)]
pub fn fate<A: Tables>() -> Option<&'static mut Fate<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &mut (*desk).fate })
}

/// Puts the frontend that the packet asks on the desk.
#[inline(always)]
pub fn put_frontend<A: Tables>(frontend: Frontend) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).frontend = frontend };
    }
}

/// The frontend that lies there since.
#[inline(always)]
pub fn frontend<A: Tables>() -> Frontend {
    // SAFETY: as above.
    A::desk().map_or(NONE, |desk| unsafe { (*desk).frontend })
}

/// Puts the target of a new flow on the desk.
#[inline(always)]
pub fn put_target<A: Tables>(target: Target<A>) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe { (*desk).target = target };
    }
}

/// The target that lies there since.
#[inline(always)]
pub fn target<A: Tables>() -> Option<&'static Target<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &(*desk).target })
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

/// A place for a key, where a helper can read it.
#[inline(always)]
pub fn key<A: Tables>() -> Option<&'static mut Tuple<A>> {
    // SAFETY: as above.
    A::desk().map(|desk| unsafe { &mut (*desk).key })
}

/// Puts the key between the hooks of `tuple` on the desk.
#[inline(never)]
pub fn between<A: Tables>(tuple: &Tuple<A>) -> Option<&'static Tuple<A>> {
    let key = key()?;
    tuple.write_between(key);
    Some(key)
}

/// Puts the key of the packet that answers one of `tuple`, as received, on the desk.
#[inline(always)]
pub fn answer<A: Tables>(tuple: &Tuple<A>) -> Option<&'static Tuple<A>> {
    let key = key()?;
    *key = tuple.reversed();
    key.side = side::RECEIVED;
    Some(key)
}

/// Remembers a packet that was masqueraded, as another hook's parser will see it.
#[inline(always)]
pub fn note_sent<A: Tables>(tuple: &Tuple<A>, now_ns: u64) {
    if let Some(desk) = A::desk() {
        // SAFETY: as above.
        unsafe {
            ((*desk).sent, (*desk).sent_ns) = (*tuple, now_ns);
            (*desk).sent.side = side::RECEIVED;
        }
    }
}

/// Whether a packet is svclb's own work, on its way through the devices below a bridge or a tunnel.
#[inline(always)]
pub fn has_just_sent<A: Tables>(tuple: &Tuple<A>, now_ns: u64) -> bool {
    // SAFETY: as above.
    A::desk().is_some_and(|desk| unsafe {
        (*desk).sent == *tuple && now_ns.saturating_sub((*desk).sent_ns) < JUST_NOW_NS
    })
}
