//! TCP resets (RFC 9293, section 3.10.7.1).

use svclb_common::{
    flow::tcp::{ACK, FIN, RST, SYN},
    outcome::Outcome,
    tuple::TCP,
};

use super::{begin, checksum, pseudo};
use crate::{
    packet::{Network, Packet, headers::Tcp},
    raw::Skb,
};

/// Length of a TCP header without options.
const HEADER: u32 = size_of::<Tcp>() as u32;

/// Turns the packet into the reset that a closed port answers with.
#[inline(always)]
pub fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Result<(), Outcome> {
    if packet.tcp_flags & RST != 0 {
        return Err(Outcome::Unanswerable);
    }
    let reset = header(skb, packet).ok_or(Outcome::Truncated)?;
    begin(skb, packet, TCP, HEADER)?;
    skb.store(A::HEADER, &reset, 0).map_err(|()| Outcome::AnswerFailed)
}

#[inline(always)]
fn header<A: Network>(skb: &Skb, packet: &Packet<A>) -> Option<[u8; HEADER as usize]> {
    let asked = skb.copy::<Tcp>(packet.transport)?;
    let (sequence, acknowledgement, flags) = numbers(packet, &asked);
    let mut header = [0; HEADER as usize];
    header[0..2].copy_from_slice(&packet.tuple.dport.to_be_bytes());
    header[2..4].copy_from_slice(&packet.tuple.sport.to_be_bytes());
    header[4..8].copy_from_slice(&sequence.to_be_bytes());
    header[8..12].copy_from_slice(&acknowledgement.to_be_bytes());
    header[12] = (HEADER as u8 / 4) << 4;
    header[13] = flags;
    let sum = checksum(&header, pseudo(packet, TCP, HEADER));
    header[16..18].copy_from_slice(&sum);
    Some(header)
}

/// Sequence number, acknowledgement and flags of the reset.
#[inline(always)]
fn numbers<A>(packet: &Packet<A>, asked: &Tcp) -> (u32, u32, u8) {
    if packet.tcp_flags & ACK != 0 {
        return (u32::from_be(asked.acknowledgement), 0, RST);
    }
    let header = u32::from(asked.data_offset >> 4) * 4;
    let data = packet.len.saturating_sub(packet.transport + header);
    let syn = u32::from(packet.tcp_flags & SYN != 0);
    let fin = u32::from(packet.tcp_flags & FIN != 0);
    let next = u32::from_be(asked.sequence).wrapping_add(data + syn + fin);
    (0, next, RST | ACK)
}
