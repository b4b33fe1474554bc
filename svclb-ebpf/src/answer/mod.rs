//! Answers that the programs give themselves: a packet is turned into its answer and sent back the
//! way that it came.

mod echo;
mod reset;
mod sctp;
mod unreachable;

use svclb_common::{
    checksum::{fold, pseudo_header, sum},
    flow::is_opening_segment,
    outcome::Outcome,
    tuple::{SCTP, TCP},
};

pub use echo::answer as echo;
pub use unreachable::Sheet;

use crate::{
    packet::{Network, Packet},
    raw::{Back, Skb},
};

/// Refuses a packet: TCP gets a reset, an SCTP packet from the middle of an association an ABORT, and
/// everything else "port unreachable".
///
/// # Errors
/// Why the packet gets no answer.
#[inline(never)]
pub fn refuse<A: Network>(skb: &mut Skb, packet: &Packet<A>, back: Back) -> Result<(), Outcome> {
    answerable(skb, packet)?;
    if packet.tuple.protocol == TCP {
        reset::write(skb, packet)?;
    } else if packet.tuple.protocol == SCTP && !is_opening_segment(packet.tcp_flags) {
        sctp::write(skb, packet)?;
    } else {
        unreachable::write(skb, packet)?;
    }
    skb.send_back(back).map_err(|()| Outcome::AnswerFailed)
}

/// Whether there is one host to answer (RFC 1122, section 3.2.2; RFC 4443, section 2.4(e)).
#[inline(always)]
fn answerable<A: Network>(skb: &Skb, packet: &Packet<A>) -> Result<(), Outcome> {
    if skb.is_for_many() || !packet.tuple.src.is_somebody() {
        return Err(Outcome::Unanswerable);
    }
    Ok(())
}

/// The checksum of an answer that consists of `bytes` and carries a pseudo header.
#[inline(always)]
fn checksum<const N: usize>(bytes: &[u8; N], pseudo: u64) -> [u8; 2] {
    (!fold(sum(bytes) + pseudo)).to_ne_bytes()
}

/// The sum of the pseudo header of an answer from the packet's destination to its source.
#[inline(always)]
fn pseudo<A: Network>(packet: &Packet<A>, protocol: u8, len: u32) -> u64 {
    let tuple = &packet.tuple;
    pseudo_header(&tuple.dst, &tuple.src, protocol, len as u16)
}

/// Replaces the packet by an IP header and room for `len` bytes behind it.
#[inline(always)]
fn begin<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    protocol: u8,
    len: u32,
) -> Result<(), Outcome> {
    let begun = skb.remake(packet.transport, A::HEADER, A::HEADER + len);
    let header = A::header(&packet.tuple.dst, &packet.tuple.src, protocol, len as u16);
    begun.and_then(|()| skb.store(0, &header, 0)).map_err(|()| Outcome::AnswerFailed)
}
