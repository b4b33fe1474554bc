//! ICMP errors: a message about a packet, which quotes that packet's first bytes.
//!
//! Nobody sends an error to a flow: the quoted packet says which flow it is about. A packet that
//! answers the quoted one would travel as the error does, so the error is given the ends that such
//! an answer is given at this hook, and so is the quote, reversed:
//!
//! ```text
//!                          ingress hook                          egress hook
//! about a reply    router -> FRONTEND  ==>  router -> backend  ==>  NODE* -> backend
//!   which quotes   FRONTEND -> client       backend -> client       backend -> NODE*
//!
//! about a request  router -> NODE*     ==>  router -> client   ==>  router -> client
//!   which quotes   NODE* -> backend         client -> backend       client -> FRONTEND
//! ```
//!
//! An error decides nothing: it opens no flow, and leaves the state and the age of its own alone.

mod ipv4;
mod ipv6;
mod quote;
mod rewrite;

use svclb_common::{flow::Role, outcome::Outcome};

pub use quote::Quote;

use crate::{
    desk,
    flow::Known,
    hook::Hook,
    maps,
    packet::{Network, Packet, Step, Stop, headers::Icmp},
    raw::{Header, Skb},
};

/// Length of an ICMP header, behind which the quote begins.
const ICMP: u32 = size_of::<Icmp>() as u32;

/// What errors ask of their family's headers.
pub trait Quoting: Header + Default {
    /// Offset of the destination in the network header.
    const DESTINATION: u32;

    /// Whether an ICMP message of this type quotes a packet and says what became of it.
    fn is_error(kind: u8) -> bool;
    /// Where the ICMP header of a packet is whose network header names ICMP itself.
    fn message(skb: &Skb) -> Option<u32>;
    /// Reads the network header that is quoted at `at`, up to the transport header.
    fn head(skb: &Skb, at: u32) -> Step<quote::Head<Self>>;
    /// Stores the quoted header's addresses and its checksum, if it has one.
    fn store(skb: &mut Skb, at: u32, checksum: u16, ends: &[Self; 2]) -> Result<(), ()>;
}

/// The cheap probe: whether the packet is an error about what was sent to an address that may be a
/// backend's. Such an error comes from any router and goes to any client.
#[inline(always)]
pub fn concerns<A: Network>(skb: &Skb) -> bool {
    A::message(skb).is_some_and(|message| is_about_backend::<A>(skb, message))
}

#[inline(never)]
fn is_about_backend<A: Network>(skb: &Skb, message: u32) -> bool {
    let Some(Icmp { kind, .. }) = skb.copy(message) else { return false };
    let destination = || skb.copy::<A>(message + ICMP + A::DESTINATION);
    A::is_error(kind) && destination().is_some_and(|address| maps::concern(&address).backend)
}

/// Translates an error about a flow's packet.
#[inline(never)]
pub fn translate<H: Hook, A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Step<Outcome> {
    quote::read(skb, packet)?;
    let quote = desk::quote().ok_or(Stop::NotOurs)?;
    let found = H::look(&quote.answer);
    if found.is_busy() {
        return Err(Outcome::FlowBusy.into());
    }
    let known = Known::at(found).ok_or(Stop::NotOurs)?;
    if !H::translates(skb, &known) {
        return Err(Stop::NotOurs);
    }
    // A node that a masqueraded error reaches has no reason to expect a router's address from here:
    // its rp_filter may drop it.
    let hides = known.role == Role::RequestOut;
    rewrite::rewrite(skb, packet, quote, &known.view.to, hides)?;
    skb.note_rewritten(H::NOTE);
    H::translated(skb, &known)?;
    Ok(Outcome::ErrorTranslated)
}
