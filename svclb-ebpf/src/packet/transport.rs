//! TCP and UDP headers, and requests for an echo.

use svclb_common::{
    outcome::Outcome,
    tuple::{TCP, UDP},
};

use super::{
    Network, Payload, Step, Stop,
    headers::{Icmp, Tcp, Udp},
};
use crate::raw::Skb;

/// How far a transport header may be from the network header; keeps the verifier's bounds small.
const MAX_OFFSET: u32 = 1023;

/// The ports, in host order, and TCP's flags.
pub struct Ports {
    pub src: u16,
    pub dst: u16,
    pub tcp_flags: u8,
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
        protocol if protocol == A::ICMP => echo::<A>(skb, payload),
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
    Ok(Ports { src: u16::from_be(header.sport), dst: u16::from_be(header.dport), tcp_flags: 0 })
}

#[inline(always)]
fn echo<A: Network>(skb: &Skb, payload: &Payload) -> Step<Ports> {
    let header = skb.copy::<Icmp>(payload.offset & MAX_OFFSET).ok_or(Outcome::Truncated)?;
    if payload.len < size_of::<Icmp>() as u32 {
        return Err(Outcome::Truncated.into());
    }
    // A datagram in fragments is not answered: svclb never has all of it.
    if [header.kind, header.code] != [A::ECHO[0], 0] || payload.part.is_part() {
        return Err(Stop::NotOurs);
    }
    Ok(Ports { src: 0, dst: 0, tcp_flags: 0 })
}
