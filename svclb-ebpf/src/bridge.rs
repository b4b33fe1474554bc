//! A client and its backend on one bridge.
//!
//! The answer goes from port to port without meeting the node's network layer. The request, sent to
//! the gateway's MAC address, would be routed, and connection tracking would see half a
//! conversation and call it invalid. So the request is given the backend's MAC address and is
//! bridged as well.

use svclb_common::{flow::flags, outcome::Outcome};

use crate::{
    flow::Known,
    maps::{self, Tables},
    raw::{Skb, neighbour},
};

/// The flags of a new flow whose client's packets come in at this device.
#[inline(always)]
pub fn flags_for(skb: &Skb, masquerade: bool) -> u8 {
    // An answer to the node's own address is routed, so the request is, too. (Nor does a bridge send
    // a hairpin's packet back through the port that it came from.)
    if masquerade || !skb.has_ethernet() {
        return 0;
    }
    let bridged = maps::device(skb.ifindex()).is_some_and(|device| device.bridge != 0);
    if bridged { flags::FIND_MAC } else { 0 }
}

/// Keeps a rewritten request on its bridge, if the backend is there.
#[inline(always)]
pub fn stay<A: Tables>(skb: &mut Skb, known: &Known<A>) -> Result<(), Outcome> {
    let facts = &known.view.facts;
    if facts.flags & (flags::FIND_MAC | flags::HAVE_MAC) == 0 || facts.ifindex != skb.ifindex() {
        return Ok(());
    }
    let known_mac = facts.flags & flags::HAVE_MAC != 0;
    let mac = if known_mac { facts.mac } else { find(skb, known).octets() };
    if mac == UNKNOWN.octets() {
        return Ok(());
    }
    skb.store_mac(&mac).map_err(|()| Outcome::RewriteFailed)
}

/// A MAC address as one number: between functions of a kernel program, an `Option` may travel in a
/// register that nobody has written.
#[derive(Clone, Copy)]
struct Mac(u64);

/// Nobody's MAC address.
const UNKNOWN: Mac = Mac(0);

impl Mac {
    #[inline(always)]
    fn new([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]))
    }

    #[inline(always)]
    fn octets(self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.0.to_ne_bytes();
        [a, b, c, d, e, f]
    }
}

/// Looks for the backend's MAC address and remembers what was found. While the neighbour is not
/// resolved, the request is routed, which resolves it.
#[inline(never)]
fn find<A: Tables>(skb: &Skb, known: &Known<A>) -> Mac {
    let Some(device) = maps::device(skb.ifindex()) else { return UNKNOWN };
    let Some(found) = neighbour(skb, &known.view.to, device.bridge) else { return UNKNOWN };
    let Some(mut locked) = known.record.try_lock() else { return UNKNOWN };
    let facts = &mut locked.flow().facts;
    facts.flags &= !flags::FIND_MAC;
    if found.on_bridge {
        facts.flags |= flags::HAVE_MAC;
        facts.mac = found.mac;
    }
    locked.unlock();
    if found.on_bridge { Mac::new(found.mac) } else { UNKNOWN }
}
