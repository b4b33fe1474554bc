//! Answers to SCTP packets "out of the blue" (RFC 9260, section 8.4).

use svclb_common::{
    crc32c,
    outcome::Outcome,
    sctp::{self, TAG_REFLECTED},
    tuple::SCTP,
};

use super::begin;
use crate::{
    packet::{Network, Packet, headers::Sctp},
    raw::Skb,
};

/// Length of the common header and of a chunk without contents.
const LENGTH: u32 = size_of::<Sctp>() as u32;

/// Turns the packet into what a host answers that knows no such association.
#[inline(always)]
pub fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Result<(), Outcome> {
    let asked = skb.copy::<Sctp>(packet.transport).ok_or(Outcome::Truncated)?;
    let chunk = sctp::out_of_the_blue(asked.chunk);
    if chunk == sctp::NO_ANSWER {
        return Err(Outcome::Unanswerable);
    }
    begin(skb, packet, SCTP, LENGTH)?;
    skb.store(A::HEADER, &answer(&asked, chunk), 0).map_err(|()| Outcome::AnswerFailed)
}

#[inline(always)]
fn answer(asked: &Sctp, chunk: u8) -> [u32; 4] {
    const CHUNK: u8 = 4;
    let ([a, b], [c, d]) = (asked.dport.to_ne_bytes(), asked.sport.to_ne_bytes());
    let mut words = [
        u32::from_ne_bytes([a, b, c, d]),
        asked.tag,
        0,
        u32::from_ne_bytes([chunk, TAG_REFLECTED, 0, CHUNK]),
    ];
    words[2] = crc32c::of_words(&words);
    words
}
