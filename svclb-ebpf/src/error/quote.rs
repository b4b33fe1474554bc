//! Reading the packet that an error quotes.

use svclb_common::{
    outcome::Outcome,
    tuple::{TCP, Tuple, UDP},
};

use super::ICMP;
use crate::{
    desk,
    packet::{self, Network, Packet, Step, Stop, headers::Udp},
    raw::Skb,
};

/// How much of a transport header every error quotes (RFC 792): the ports, whatever the protocol.
const LEAST: u32 = size_of::<Udp>() as u32;

/// A quoted packet. Offsets count from the error's own network header.
#[repr(C)]
pub struct Quote<A> {
    /// A packet that answers the quoted one, as received: what flows know it by.
    pub answer: Tuple<A>,
    /// Where the network header begins.
    pub network: u32,
    /// Where the transport header begins.
    pub transport: u32,
    /// Where the transport's checksum is; 0 if it has none, or if that is not quoted.
    pub checksum: u32,
    /// The checksum of an IPv4 header, as it lies there.
    pub network_sum: u16,
    /// The transport's checksum, as it lies there.
    pub transport_sum: u16,
}

/// What a quoted network header says.
pub struct Head<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// IANA protocol number of the transport.
    pub protocol: u8,
    /// Where the transport header begins.
    pub transport: u32,
    /// Where the packet would end by its own count, were it quoted as a whole.
    pub end: u32,
    /// The checksum of an IPv4 header.
    pub checksum: u16,
}

/// Where a quoted packet ends that says to be of `stated` bytes from `start` on. The kernel says 0 of
/// packets it has joined beyond 64 KiB (BIG TCP).
#[inline(always)]
pub fn end(start: u32, stated: u16) -> u32 {
    if stated == 0 { u32::MAX } else { start + u32::from(u16::from_be(stated)) }
}

/// Reads the packet that an error quotes and puts it on the desk.
#[inline(never)]
pub fn read<A: Network>(skb: &Skb, packet: &Packet<A>) -> Step<()> {
    examine(skb, packet).map_err(|stop| match stop {
        Stop::Because(Outcome::Truncated) => Outcome::QuoteTruncated.into(),
        Stop::Because(Outcome::Fragment) => Outcome::QuoteFragment.into(),
        Stop::Because(Outcome::Extensions) => Outcome::QuoteExtensions.into(),
        Stop::Because(_) => Outcome::QuoteMalformed.into(),
        Stop::NotOurs | Stop::Later => Stop::NotOurs,
    })
}

#[inline(always)]
fn examine<A: Network>(skb: &Skb, packet: &Packet<A>) -> Step<()> {
    let network = packet.transport + ICMP;
    let head = A::head(skb, network)?;
    if head.protocol == A::ICMP {
        return Err(Stop::NotOurs);
    }
    if head.transport + LEAST > packet.len {
        return Err(Outcome::Truncated.into());
    }
    // An error goes to whoever has sent what it quotes.
    if head.end < head.transport + LEAST || head.src != packet.tuple.dst {
        return Err(Outcome::Malformed.into());
    }
    let ports = skb.copy::<Udp>(head.transport).ok_or(Outcome::Truncated)?;
    let (sport, dport) = (u16::from_be(ports.sport), u16::from_be(ports.dport));
    let (checksum, transport_sum) = checksum(skb, packet, &head, &ports);
    desk::put_quote(Quote {
        answer: Tuple::received(head.protocol, head.dst, dport, head.src, sport),
        network,
        transport: head.transport,
        checksum,
        network_sum: head.checksum,
        transport_sum,
    });
    Ok(())
}

/// Where the transport's checksum is, and the checksum; zeros if there is none.
#[inline(always)]
fn checksum<A: Network>(skb: &Skb, packet: &Packet<A>, head: &Head<A>, ports: &Udp) -> (u32, u16) {
    /// Length of a checksum. (UDP's ends with the header, which is there.)
    const LEN: u32 = 2;
    match head.protocol {
        UDP if ports.checksum != 0 => (head.transport + packet::UDP_CHECKSUM, ports.checksum),
        TCP if head.transport + packet::TCP_CHECKSUM + LEN <= packet.len => {
            let at = head.transport + packet::TCP_CHECKSUM;
            skb.copy::<u16>(at).map_or((0, 0), |sum| (at, sum))
        }
        _ => (0, 0),
    }
}
