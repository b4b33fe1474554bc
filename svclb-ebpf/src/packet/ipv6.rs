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
use crate::raw::{self, Skb};

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
}

/// A walk over extension headers: a loop of the kernel's, so that the verifier need not follow each
/// way through them to the end of the program.
struct Walk<'a> {
    skb: &'a Skb,
    first: u32,
    at: Walked,
    /// Why it is over, or [`ON`].
    end: u32,
}

/// The walk goes on.
const ON: u32 = 0;
/// It has led to where it is to lead.
const ARRIVED: u32 = 1;
const TRUNCATED: u32 = 2;
const MALFORMED: u32 = 3;
/// There is a header that must not be passed, or this one is too far away.
const STOPPED: u32 = 4;

/// Walks the extension headers, the first of which is of type `protocol` and lies at `first`, to the
/// transport header, or to where a later fragment's part of the datagram begins.
#[inline(always)]
pub fn walk(skb: &Skb, protocol: u8, first: u32) -> Step<Walked> {
    let zero = raw::hidden(0) as u32;
    let at = Walked { protocol, offset: first ^ zero, place: zero as u16, id: zero, cut: zero };
    let mut walk = Walk { skb, first, at, end: ON ^ zero };
    raw::repeat(MAX_EXTENSIONS, &mut walk, pass);
    match walk.end {
        ARRIVED => Ok(walk.at),
        TRUNCATED => Err(Outcome::Truncated.into()),
        MALFORMED => Err(Outcome::Malformed.into()),
        _ => Err(Outcome::Extensions.into()),
    }
}

/// Passes one header; 1 ends the walk.
extern "C" fn pass(index: u32, walk: *mut Walk<'_>) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let walk = unsafe { &mut *walk };
    let is_last = index + 1 == MAX_EXTENSIONS;
    walk.end = match walk.at.protocol {
        _ if walk.at.datagram_offset() != 0 => ARRIVED,
        extension::HOP_BY_HOP
        | extension::ROUTING
        | extension::DESTINATION
        | extension::FRAGMENT
            if is_last || walk.is_far() =>
        {
            STOPPED
        }
        extension::FRAGMENT => walk.pass_fragment(),
        extension::HOP_BY_HOP | extension::ROUTING | extension::DESTINATION => walk.pass_other(),
        _ => ARRIVED,
    };
    i64::from(walk.end != ON)
}

impl Walk<'_> {
    #[inline(always)]
    fn is_far(&self) -> bool {
        self.at.offset.wrapping_sub(self.first) > V6::MAX_OFFSET - V6::HEADER
    }

    /// Steps over a fragment header. No datagram is cut twice.
    #[inline(always)]
    fn pass_fragment(&mut self) -> u32 {
        /// What is left are reserved bits.
        const OFFSET_AND_MORE: u16 = 0xfff9;
        let at = &mut self.at;
        let Some(header) = self.skb.copy::<Fragment>(at.offset) else { return TRUNCATED };
        at.offset += size_of::<Fragment>() as u32;
        at.protocol = header.next_header;
        let place = u16::from_be(header.offset_flags) & OFFSET_AND_MORE;
        // The header of a whole packet (RFC 6946) is no obstacle.
        if place == 0 {
            return ON;
        }
        if at.place != 0 {
            return MALFORMED;
        }
        (at.place, at.id, at.cut) = (place, header.id, at.offset);
        ON
    }

    #[inline(always)]
    fn pass_other(&mut self) -> u32 {
        let at = &mut self.at;
        let Some(header) = self.skb.copy::<Extension>(at.offset) else { return TRUNCATED };
        // With segments left, the destination is not the final one.
        if at.protocol == extension::ROUTING && header.data[1] != 0 {
            return STOPPED;
        }
        at.offset += (u32::from(header.len) + 1) * 8;
        at.protocol = header.next_header;
        ON
    }
}
