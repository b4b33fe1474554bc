//! Writing new ends into an error and into the packet that it quotes, all checksums kept right.

use aya_ebpf::bindings::BPF_F_PSEUDO_HDR;
use svclb_common::{
    checksum::Difference,
    outcome::Outcome,
    tuple::{Tuple, UDP},
};

use super::Quote;
use crate::{
    packet::{Network, Packet},
    raw::Skb,
};

/// Offset of the checksum in an ICMP header.
const CHECKSUM: u32 = 2;

/// Gives an error about `quote` the ends `to` of an answer, and the quote the same, reversed. `hides`
/// says that the source is replaced whoever it is.
#[inline(never)]
pub fn rewrite<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    quote: &Quote<A>,
    to: &Tuple<A>,
    hides: bool,
) -> Result<(), Outcome> {
    inner(skb, packet, quote, to)
        .and_then(|()| outer(skb, packet, quote, to, hides))
        .map_err(|()| Outcome::RewriteFailed)
}

/// The quoted packet.
#[inline(always)]
fn inner<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    quote: &Quote<A>,
    to: &Tuple<A>,
) -> Result<(), ()> {
    let from = &quote.answer;
    let addresses = Difference::NONE.address(&from.src, &to.src).address(&from.dst, &to.dst);
    let ends = addresses.port(from.sport, to.sport).port(from.dport, to.dport);
    let network_sum = if A::IS_V6 { 0 } else { addresses.apply(quote.network_sum) };
    let transport_sum = never_none(from.protocol, ends.apply(quote.transport_sum));
    // What the message's own checksum covers of this is all that has changed in it, so a
    // CHECKSUM_COMPLETE of the packet stays right.
    let mut change = ends.word(quote.network_sum.into(), network_sum.into());
    A::store(skb, quote.network, network_sum, &[to.dst, to.src])?;
    skb.store(quote.transport, &[to.dport.to_be(), to.sport.to_be()], 0)?;
    if quote.checksum != 0 {
        change = change.word(quote.transport_sum.into(), transport_sum.into());
        skb.store(quote.checksum, &transport_sum, 0)?;
    }
    skb.update_checksum(packet.transport + CHECKSUM, change.wsum(), 0)
}

/// A UDP checksum that becomes zero is sent as 0xffff, because zero says that there is none.
#[inline(always)]
fn never_none(protocol: u8, checksum: u16) -> u16 {
    if protocol == UDP && checksum == 0 { u16::MAX } else { checksum }
}

/// The error's own addresses. The source stays the router's, so that a client sees its path, unless
/// it is the quoted packet's own destination that answers, or none may be seen.
#[inline(always)]
fn outer<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    quote: &Quote<A>,
    to: &Tuple<A>,
    hides: bool,
) -> Result<(), ()> {
    let from = &packet.tuple;
    let hides = hides || from.src == quote.answer.src;
    let ends = Tuple { src: if hides { to.src } else { from.src }, dst: to.dst, ..*from };
    if A::IS_V6 {
        let change = Difference::NONE.address(&from.src, &ends.src).address(&from.dst, &ends.dst);
        skb.update_checksum(packet.transport + CHECKSUM, change.wsum(), BPF_F_PSEUDO_HDR)?;
    }
    A::store_addresses(skb, from, &ends)
}
