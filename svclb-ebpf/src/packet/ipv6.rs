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
        let walked = walk(skb, protocol, Self::HEADER)?;
        let Walked { protocol, offset, .. } = walked;
        let behind = len.checked_sub(offset).ok_or(Outcome::Malformed)?;
        Ok(Payload { protocol, offset, len: behind, part: walked.part(len) })
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

/// Where a walk over extension headers has led.
pub struct Walked {
    /// IANA number of the header there.
    pub protocol: u8,
    /// Where that is; of a later fragment, where its part of the datagram begins.
    pub offset: u32,
    /// Offset and "more" of the fragment header on the way; 0 if the packet is whole.
    pub place: u16,
    /// Identification of the datagram, as it lies in that header.
    id: u32,
    /// Where the part of the datagram begins.
    cut: u32,
}

impl Walked {
    /// The offset in the datagram of the part that the packet carries.
    #[inline(always)]
    pub fn datagram_offset(&self) -> u32 {
        u32::from(self.place & 0xfff8)
    }

    /// Which part of a datagram a packet of `len` bytes carries, which is more than was walked over.
    #[inline(always)]
    fn part(&self, len: u32) -> Part {
        if self.place == 0 {
            return Part::WHOLE;
        }
        let more = u32::from(self.place & 1);
        Part { id: self.id, offset: self.datagram_offset(), len: len - self.cut, more }
    }

    /// Steps over a fragment header. No datagram is cut twice.
    #[inline(always)]
    fn pass(&mut self, header: &Fragment) -> Step<()> {
        /// What is left are reserved bits.
        const OFFSET_AND_MORE: u16 = 0xfff9;
        self.offset += size_of::<Fragment>() as u32;
        self.protocol = header.next_header;
        let place = u16::from_be(header.offset_flags) & OFFSET_AND_MORE;
        // The header of a whole packet (RFC 6946) is no obstacle.
        if place == 0 {
            return Ok(());
        }
        if self.place != 0 {
            return Err(Outcome::Malformed.into());
        }
        (self.place, self.id, self.cut) = (place, header.id, self.offset);
        Ok(())
    }
}

/// Walks the extension headers, the first of which is of type `protocol` and lies at `first`, to the
/// transport header, or to where a later fragment's part of the datagram begins.
#[inline(always)]
pub fn walk(skb: &Skb, protocol: u8, first: u32) -> Step<Walked> {
    let mut walked = Walked { protocol, offset: first, place: 0, id: 0, cut: 0 };
    for _ in 0..MAX_EXTENSIONS {
        let protocol = walked.protocol;
        match protocol {
            extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::DESTINATION
            | extension::FRAGMENT => {}
            _ => return Ok(walked),
        }
        if walked.offset - first > V6::MAX_OFFSET - V6::HEADER {
            return Err(Outcome::Extensions.into());
        }
        if protocol == extension::FRAGMENT {
            walked.pass(&skb.copy::<Fragment>(walked.offset).ok_or(Outcome::Truncated)?)?;
            if walked.datagram_offset() != 0 {
                return Ok(walked);
            }
            continue;
        }
        let header = skb.copy::<Extension>(walked.offset).ok_or(Outcome::Truncated)?;
        walked.offset += length(protocol, &header)?;
        walked.protocol = header.next_header;
    }
    Err(Outcome::Extensions.into())
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
