//! ICMPv6 errors: RFC 4443.

use svclb_common::{address::V6, outcome::Outcome};

use super::{
    Quoting,
    quote::{Head, end},
};
use crate::{
    packet::{Network, Step, headers::Ipv6, ipv6},
    raw::Skb,
};

/// Destination unreachable, packet too big, time exceeded, parameter problem: 1 to 4.
const LAST_ERROR: u8 = 4;
/// Offset of the source address, followed by the destination.
const ADDRESSES: u32 = 8;

impl Quoting for V6 {
    const DESTINATION: u32 = ADDRESSES + size_of::<V6>() as u32;

    #[inline(always)]
    fn is_error(kind: u8) -> bool {
        (1..=LAST_ERROR).contains(&kind)
    }

    #[inline(always)]
    fn message(skb: &Skb) -> Option<u32> {
        (skb.header::<Ipv6>(0)?.next_header == Self::ICMP).then_some(Self::HEADER)
    }

    #[inline(always)]
    fn head(skb: &Skb, at: u32) -> Step<Head<Self>> {
        let header = skb.copy::<Ipv6>(at).ok_or(Outcome::Truncated)?;
        if header.version_class_flow[0] >> 4 != 6 {
            return Err(Outcome::Malformed.into());
        }
        let first = at + Self::HEADER;
        let walked = ipv6::walk(skb, header.next_header, first)?;
        if walked.datagram_offset() != 0 {
            return Err(Outcome::Fragment.into());
        }
        Ok(Head {
            src: header.src,
            dst: header.dst,
            protocol: walked.protocol,
            transport: walked.offset,
            end: end(first, header.payload_len),
            checksum: 0,
        })
    }

    #[inline(always)]
    fn store(skb: &mut Skb, at: u32, _checksum: u16, ends: &[Self; 2]) -> Result<(), ()> {
        skb.store(at + ADDRESSES, ends, 0)
    }
}
