//! TCP, UDP and SCTP headers, requests for an echo, and errors.

use svclb_common::{
    flow::is_opening_segment,
    outcome::Outcome,
    sctp::as_flags,
    tuple::{SCTP, TCP, UDP},
};

use super::{
    Network, Payload, Step, Stop,
    headers::{Icmp, Sctp, Tcp, Udp},
};
use crate::raw::Skb;

/// How far a transport header may be from the network header; keeps the verifier's bounds small.
const MAX_OFFSET: u32 = 1023;

/// The ports, in host order, and TCP's flags (or what stands for them) or ICMP's type.
pub struct Ports {
    pub src: u16,
    pub dst: u16,
    pub tcp_flags: u8,
    pub icmp_type: u8,
}

/// Checks the transport header and reads the ports. Other protocols are not ours.
#[inline(always)]
pub fn ports<A: Network>(skb: &mut Skb, payload: &Payload) -> Step<Ports> {
    if payload.offset > MAX_OFFSET {
        return Err(Outcome::Extensions.into());
    }
    match payload.protocol {
        TCP => tcp(skb, payload),
        UDP => udp(skb, payload),
        SCTP => sctp(skb, payload),
        protocol if protocol == A::ICMP => icmp::<A>(skb, payload),
        _ => Err(Stop::NotOurs),
    }
}

/// Whether a first fragment holds a header of that length: without it, nobody knows what it opens.
#[inline(always)]
fn fits(payload: &Payload, header: usize) -> Step<()> {
    let tiny = payload.part.is_part() && payload.len < header as u32;
    if tiny { Err(Outcome::FragmentTiny.into()) } else { Ok(()) }
}

#[inline(always)]
fn tcp(skb: &mut Skb, payload: &Payload) -> Step<Ports> {
    fits(payload, size_of::<Tcp>())?;
    let offset = payload.offset & MAX_OFFSET;
    if skb.header::<Tcp>(offset).is_none() {
        skb.pull(offset + size_of::<Tcp>() as u32);
    }
    let header = skb.header::<Tcp>(offset).ok_or(Outcome::Truncated)?;
    let header_len = u32::from(header.data_offset >> 4) * 4;
    if header_len < size_of::<Tcp>() as u32 {
        return Err(Outcome::Malformed.into());
    }
    fits(payload, header_len as usize)?;
    if header_len > payload.len {
        return Err(Outcome::Malformed.into());
    }
    Ok(Ports {
        src: u16::from_be(header.sport),
        dst: u16::from_be(header.dport),
        tcp_flags: header.flags,
        icmp_type: 0,
    })
}

#[inline(always)]
fn udp(skb: &mut Skb, payload: &Payload) -> Step<Ports> {
    fits(payload, size_of::<Udp>())?;
    let offset = payload.offset & MAX_OFFSET;
    if skb.header::<Udp>(offset).is_none() {
        skb.pull(offset + size_of::<Udp>() as u32);
    }
    let header = skb.header::<Udp>(offset).ok_or(Outcome::Truncated)?;
    let len = u32::from(u16::from_be(header.len));
    // A first fragment carries less than the datagram that its header is about.
    if len < size_of::<Udp>() as u32 || (len > payload.len && !payload.part.is_part()) {
        return Err(Outcome::Malformed.into());
    }
    Ok(Ports {
        src: u16::from_be(header.sport),
        dst: u16::from_be(header.dport),
        tcp_flags: 0,
        icmp_type: 0,
    })
}

#[inline(always)]
fn sctp(skb: &Skb, payload: &Payload) -> Step<Ports> {
    /// Length of a chunk's header, which its own length counts.
    const CHUNK: u16 = 4;
    if payload.part.is_part() {
        return Err(Outcome::SctpFragment.into());
    }
    let header = skb.copy::<Sctp>(payload.offset & MAX_OFFSET).ok_or(Outcome::Truncated)?;
    let tcp_flags = as_flags(header.chunk);
    let len = u16::from_be(header.chunk_len);
    // Nobody has given the sender of an INIT a tag (RFC 9260, section 8.5.1).
    let is_tagged = is_opening_segment(tcp_flags) && header.tag != 0;
    if payload.len < size_of::<Sctp>() as u32 || len < CHUNK || is_tagged {
        return Err(Outcome::Malformed.into());
    }
    Ok(Ports {
        src: u16::from_be(header.sport),
        dst: u16::from_be(header.dport),
        tcp_flags,
        icmp_type: 0,
    })
}

#[inline(always)]
fn icmp<A: Network>(skb: &Skb, payload: &Payload) -> Step<Ports> {
    let header = skb.copy::<Icmp>(payload.offset & MAX_OFFSET).ok_or(Outcome::Truncated)?;
    if payload.len < size_of::<Icmp>() as u32 {
        return Err(Outcome::Truncated.into());
    }
    let is_asked = [header.kind, header.code] == [A::ECHO[0], 0] || A::is_error(header.kind);
    // A message in fragments is nothing to answer or to translate: svclb never has all of it.
    if !is_asked || payload.part.is_part() {
        return Err(Stop::NotOurs);
    }
    Ok(Ports { src: 0, dst: 0, tcp_flags: 0, icmp_type: header.kind })
}
