//! IPv6: RFC 8200.

use aya_ebpf::bindings::BPF_F_RECOMPUTE_CSUM;
use svclb_common::{
    address::V6,
    outcome::Outcome,
    tuple::{TCP, Tuple, UDP},
};

use super::{
    HOPS, Network, Payload, Step,
    headers::{Extension, Ipv6},
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
            return Ok(Payload { protocol, offset: Self::HEADER, len });
        }
        let (protocol, offset) = walk(skb, protocol, Self::HEADER, ANY_FRAGMENT)?;
        let len = len.checked_sub(offset).ok_or(Outcome::Malformed)?;
        Ok(Payload { protocol, offset, len })
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

/// What a fragment header says of every fragment: an offset, or the "more" flag. What is left are
/// reserved bits.
const ANY_FRAGMENT: u16 = 0xfff9;
/// What it says of those that do not begin with the transport header: an offset.
pub const LATER_FRAGMENT: u16 = 0xfff8;

/// Walks the extension headers, the first of which is of type `protocol` and lies at `first`; the
/// protocol of the transport header, and where it lies. `fragments` are the bits of a fragment
/// header that must be zero.
#[inline(always)]
pub fn walk(skb: &Skb, mut protocol: u8, first: u32, fragments: u16) -> Step<(u8, u32)> {
    let mut offset = first;
    for _ in 0..MAX_EXTENSIONS {
        match protocol {
            extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::DESTINATION
            | extension::FRAGMENT => {}
            _ => return Ok((protocol, offset)),
        }
        if offset - first > V6::MAX_OFFSET - V6::HEADER {
            return Err(Outcome::Extensions.into());
        }
        let header = skb.copy::<Extension>(offset).ok_or(Outcome::Truncated)?;
        offset += length(protocol, &header, fragments)?;
        protocol = header.next_header;
    }
    Err(Outcome::Extensions.into())
}

/// The length of an extension header, if the packet may be rewritten behind it.
#[inline(always)]
fn length(protocol: u8, header: &Extension, fragments: u16) -> Step<u32> {
    match protocol {
        // A fragment header of a whole packet (RFC 6946) is no obstacle.
        extension::FRAGMENT if u16::from_be_bytes(header.data) & fragments == 0 => Ok(8),
        extension::FRAGMENT => Err(Outcome::Fragment.into()),
        // With segments left, the destination is not the final one.
        extension::ROUTING if header.data[1] != 0 => Err(Outcome::Extensions.into()),
        _ => Ok((u32::from(header.len) + 1) * 8),
    }
}
