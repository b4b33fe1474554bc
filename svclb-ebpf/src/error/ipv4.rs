//! IPv4's ICMP errors: RFC 792.

use svclb_common::{address::V4, outcome::Outcome};

use super::{
    Quoting,
    quote::{Head, end},
};
use crate::{
    packet::{Network, Step, headers::Ipv4, ipv4},
    raw::Skb,
};

/// Destination unreachable, which includes "fragmentation needed" (RFC 1191).
const UNREACHABLE: u8 = 3;
/// Time exceeded.
const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
const PARAMETER_PROBLEM: u8 = 12;

impl Quoting for V4 {
    const DESTINATION: u32 = 16;

    /// Not those that hosts must ignore (source quench, RFC 6633) and those that speak of a link
    /// (redirect).
    #[inline(always)]
    fn is_error(kind: u8) -> bool {
        matches!(kind, UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM)
    }

    #[inline(always)]
    fn message(skb: &Skb) -> Option<u32> {
        const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;
        let header = skb.header::<Ipv4>(0)?;
        let is_whole = u16::from_be(header.fragment) & MORE_FRAGMENTS_OR_OFFSET == 0;
        (header.protocol == Self::ICMP && is_whole).then(|| ipv4::header_len(header))
    }

    #[inline(always)]
    fn head(skb: &Skb, at: u32) -> Step<Head<Self>> {
        const FRAGMENT_OFFSET: u16 = 0x1fff;
        let header = skb.copy::<Ipv4>(at).ok_or(Outcome::Truncated)?;
        let len = ipv4::header_len(&header);
        if header.version_ihl >> 4 != 4 || len < Self::HEADER {
            return Err(Outcome::Malformed.into());
        }
        // The first fragment has the ports.
        if u16::from_be(header.fragment) & FRAGMENT_OFFSET != 0 {
            return Err(Outcome::Fragment.into());
        }
        Ok(Head {
            src: header.src,
            dst: header.dst,
            protocol: header.protocol,
            transport: at + len,
            end: end(at, header.total_len),
            checksum: header.checksum,
        })
    }

    #[inline(always)]
    fn store(skb: &mut Skb, at: u32, checksum: u16, ends: &[Self; 2]) -> Result<(), ()> {
        ipv4::store(skb, at, checksum, ends)
    }
}
