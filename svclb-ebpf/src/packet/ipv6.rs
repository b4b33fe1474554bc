//! IPv6: RFC 8200.

use aya_ebpf::bindings::BPF_F_RECOMPUTE_CSUM;
use svclb_common::{
    address::V6,
    fragment::Part,
    outcome::Outcome,
    tuple::{TCP, Tuple, UDP},
};

use super::{
    HOPS, Network, Payload, Step,
    headers::{Extension, Fragment, Ipv6},
    stated_length,
};
use crate::raw::Skb;

/// Offset of the hop limit.
const HOP_LIMIT: u32 = 7;
/// Offset of the source address, followed by the destination.
const ADDRESSES: u32 = 8;
/// How many extension headers are walked. RFC 8200 asks for at most seven.
const MAX_EXTENSIONS: u32 = 8;

/// IANA protocol numbers of the extension headers that svclb walks.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
}

impl Network for V6 {
    const HEADER: u32 = 40;
    const ID_NEEDS_PROTOCOL: bool = false;
    const MAX_OFFSET: u32 = 512;
    const ICMP: u8 = 58;
    const ECHO: [u8; 2] = [128, 129];
    const PORT_UNREACHABLE: [u8; 2] = [1, 4];

    type Header = [u8; 40];

    #[inline(always)]
    fn ends(skb: &Skb) -> Option<(Self, Self)> {
        let header = skb.header::<Ipv6>(0)?;
        Some((header.src, header.dst))
    }

    #[inline(always)]
    fn payload(skb: &Skb) -> Step<Payload> {
        let header = skb.header::<Ipv6>(0).ok_or(Outcome::Truncated)?;
        if header.version_class_flow[0] >> 4 != 6 {
            return Err(Outcome::Malformed.into());
        }
        let stated = match u32::from(u16::from_be(header.payload_len)) {
            0 => 0,
            payload => payload + Self::HEADER,
        };
        let len = stated_length(skb, stated).ok_or(Outcome::Truncated)?;
        let protocol = header.next_header;
        if protocol == TCP || protocol == UDP {
            let len = len.checked_sub(Self::HEADER).ok_or(Outcome::Malformed)?;
            return Ok(Payload { protocol, offset: Self::HEADER, len, part: Part::WHOLE });
        }
        walk(skb, protocol, len)
    }

    #[inline(always)]
    fn store_addresses(skb: &mut Skb, _from: &Tuple<Self>, to: &Tuple<Self>) -> Result<(), ()> {
        // bpf_l4_csum_replace has moved a CHECKSUM_COMPLETE by the layer-4 checksum's change, as is
        // right for IPv4, where the header's own checksum balances the addresses. Here the
        // addresses must balance it: hence RECOMPUTE. (The flag BPF_F_IPV6 says the same more
        // cheaply, but only since Linux 6.16; this is right on every kernel.)
        skb.store(ADDRESSES, &[to.src.ip, to.dst.ip], BPF_F_RECOMPUTE_CSUM)
    }

    #[inline(always)]
    fn store_hops(skb: &mut Skb) -> Result<(), ()> {
        skb.store(HOP_LIMIT, &HOPS, BPF_F_RECOMPUTE_CSUM)
    }

    #[inline(always)]
    fn header(src: &Self, dst: &Self, protocol: u8, len: u16) -> Self::Header {
        let mut header = [0; 40];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&len.to_be_bytes());
        header[6] = protocol;
        header[7] = HOPS;
        header[8..24].copy_from_slice(&src.ip);
        header[24..40].copy_from_slice(&dst.ip);
        header
    }
}

/// Walks the extension headers to the transport header, or to where a later fragment's part of the
/// datagram begins.
#[inline(always)]
fn walk(skb: &Skb, first: u8, len: u32) -> Step<Payload> {
    let (mut protocol, mut offset, mut part) = (first, V6::HEADER, Part::WHOLE);
    for _ in 0..MAX_EXTENSIONS {
        match protocol {
            extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::DESTINATION
            | extension::FRAGMENT => {}
            _ => return behind(protocol, offset, len, part),
        }
        if offset > V6::MAX_OFFSET {
            return Err(Outcome::Extensions.into());
        }
        if protocol == extension::FRAGMENT {
            let header = skb.copy::<Fragment>(offset).ok_or(Outcome::Truncated)?;
            (offset, protocol) = (offset + size_of::<Fragment>() as u32, header.next_header);
            // The header of a whole packet (RFC 6946) is no obstacle.
            if header.is_part() {
                part = header.part(part, len, offset)?;
            }
            if part.offset != 0 {
                return behind(protocol, offset, len, part);
            }
            continue;
        }
        let header = skb.copy::<Extension>(offset).ok_or(Outcome::Truncated)?;
        offset += length(protocol, &header)?;
        protocol = header.next_header;
    }
    Err(Outcome::Extensions.into())
}

#[inline(always)]
fn behind(protocol: u8, offset: u32, len: u32, part: Part) -> Step<Payload> {
    let len = len.checked_sub(offset).ok_or(Outcome::Malformed)?;
    Ok(Payload { protocol, offset, len, part })
}

impl Fragment {
    /// Whether this is the header of one piece of several.
    #[inline(always)]
    fn is_part(&self) -> bool {
        /// Offset and the "more" flag; what is left are reserved bits.
        const PLACE: u16 = 0xfff9;
        u16::from_be(self.offset_flags) & PLACE != 0
    }

    /// Which part of a datagram begins at `offset` in a packet of `len` bytes. No datagram is cut
    /// twice.
    #[inline(always)]
    fn part(&self, outer: Part, len: u32, offset: u32) -> Step<Part> {
        if outer.is_part() {
            return Err(Outcome::Malformed.into());
        }
        let place = u16::from_be(self.offset_flags);
        let len = len.checked_sub(offset).ok_or(Outcome::Malformed)?;
        Ok(Part { id: self.id, offset: u32::from(place & 0xfff8), len, more: u32::from(place & 1) })
    }
}

/// The length of an extension header, if the packet may be rewritten behind it.
#[inline(always)]
fn length(protocol: u8, header: &Extension) -> Step<u32> {
    match protocol {
        // With segments left, the destination is not the final one.
        extension::ROUTING if header.data[1] != 0 => Err(Outcome::Extensions.into()),
        _ => Ok((u32::from(header.len) + 1) * 8),
    }
}
