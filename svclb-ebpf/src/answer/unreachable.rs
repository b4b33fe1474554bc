//! ICMP's "port unreachable" (RFC 792; RFC 4443, section 3.1).

use svclb_common::outcome::Outcome;

use super::{begin, pseudo};
use crate::{
    maps,
    packet::{Network, Packet},
    raw::{self, Skb},
};

/// Length of an ICMP header.
const HEADER: u32 = 8;
/// How much of the packet is quoted at most: together with the headers no more than every host and
/// link can take (576 bytes, RFC 1812, section 4.3.2.3), and what `bpf_csum_diff` sums in one go.
const QUOTE: u32 = 504;

/// What a CPU writes an ICMP message on. Value of `sheet`.
#[repr(C)]
pub struct Sheet {
    /// Header and quote, as they lie in the packet, and a word for the end of the last one.
    words: [u32; (HEADER + QUOTE) as usize / 4 + 1],
}

/// Turns the packet into the message that a closed port answers with.
#[inline(always)]
pub fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Result<(), Outcome> {
    // RFC 4443, section 2.4(f): a host must limit them.
    if !maps::limit().is_some_and(|limit| limit.admits(raw::now_ns())) {
        return Err(Outcome::AnswerLimited);
    }
    let sheet = maps::sheet().ok_or(Outcome::AnswerFailed)?;
    let len = compose(skb, packet, sheet).ok_or(Outcome::AnswerFailed)?;
    begin(skb, packet, A::ICMP, len)?;
    skb.store_words(A::HEADER, &sheet.words, len).map_err(|()| Outcome::AnswerFailed)
}

/// Writes the message; returns its length in bytes.
#[inline(always)]
fn compose<A: Network>(skb: &Skb, packet: &Packet<A>, sheet: &mut Sheet) -> Option<u32> {
    let [kind, code] = A::PORT_UNREACHABLE;
    let quoted = packet.len.min(QUOTE);
    let len = HEADER + quoted;
    // The sum is over whole words.
    *sheet.words.get_mut((len / 4) as usize)? = 0;
    sheet.words[0] = u32::from_ne_bytes([kind, code, 0, 0]);
    sheet.words[1] = 0;
    skb.load_words(0, &mut sheet.words, HEADER, quoted).ok()?;
    let pseudo = if A::IS_V6 { pseudo(packet, A::ICMP, len) } else { 0 };
    let [a, b] = raw::checksum(&sheet.words, len, pseudo)?.to_ne_bytes();
    sheet.words[0] = u32::from_ne_bytes([kind, code, a, b]);
    Some(len)
}
