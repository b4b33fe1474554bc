//! IPv4: RFC 791.

use svclb_common::{
    address::V4,
    checksum::{Difference, fold, sum},
    fragment::Part,
    outcome::Outcome,
    tuple::Tuple,
};

use super::{HOPS, Network, Payload, Step, headers::Ipv4, stated_length};
use crate::raw::Skb;

/// Offset of the time to live, followed by the protocol and the checksum.
const TTL: u32 = 8;
/// Offset of the header checksum, followed by both addresses.
const CHECKSUM: u32 = 10;

/// The fields that a rewrite changes, as they lie behind each other.
#[repr(C)]
#[derive(Clone, Copy)]
struct Changed {
    checksum: u16,
    src: [u8; 4],
    dst: [u8; 4],
}

/// Length of a header with its options, by its own count.
#[inline(always)]
pub fn header_len(header: &Ipv4) -> u32 {
    u32::from(header.version_ihl & 0x0f) * 4
}

/// Stores checksum, source and destination of the header at `at`.
#[inline(always)]
pub fn store(skb: &mut Skb, at: u32, checksum: u16, [src, dst]: &[V4; 2]) -> Result<(), ()> {
    skb.store(at + CHECKSUM, &Changed { checksum, src: src.ip, dst: dst.ip }, 0)
}

impl Network for V4 {
    const HEADER: u32 = 20;
    const ID_NEEDS_PROTOCOL: bool = true;
    const MAX_OFFSET: u32 = 60;
    const ICMP: u8 = 1;
    const ECHO: [u8; 2] = [8, 0];
    const PORT_UNREACHABLE: [u8; 2] = [3, 3];

    type Header = [u8; 20];

    #[inline(always)]
    fn ends(skb: &Skb) -> Option<(Self, Self)> {
        let header = skb.header::<Ipv4>(0)?;
        Some((header.src, header.dst))
    }

    #[inline(always)]
    fn payload(skb: &Skb) -> Step<Payload> {
        let header = skb.header::<Ipv4>(0).ok_or(Outcome::Truncated)?;
        let offset = header_len(header);
        if header.version_ihl >> 4 != 4 || offset < Self::HEADER {
            return Err(Outcome::Malformed.into());
        }
        let stated = u32::from(u16::from_be(header.total_len));
        let len = stated_length(skb, stated).ok_or(Outcome::Truncated)?;
        if len < offset {
            return Err(Outcome::Malformed.into());
        }
        let len = len - offset;
        Ok(Payload { protocol: header.protocol, offset, len, part: part(header, len) })
    }

    #[inline(always)]
    fn store_addresses(skb: &mut Skb, from: &Tuple<Self>, to: &Tuple<Self>) -> Result<(), ()> {
        let old = skb.header::<Ipv4>(0).ok_or(())?.checksum;
        let change = Difference::NONE.address(&from.src, &to.src).address(&from.dst, &to.dst);
        // The header's sum stays what it was, so a CHECKSUM_COMPLETE of the packet stays right.
        store(skb, 0, change.apply(old), &[to.src, to.dst])
    }

    #[inline(always)]
    fn store_hops(skb: &mut Skb) -> Result<(), ()> {
        let Ipv4 { ttl, protocol, checksum, .. } = *skb.header::<Ipv4>(0).ok_or(())?;
        let hops = |ttl| u16::from_be_bytes([ttl, protocol]);
        let checksum = Difference::NONE.port(hops(ttl), hops(HOPS)).apply(checksum);
        let [a, b] = checksum.to_ne_bytes();
        skb.store(TTL, &[HOPS, protocol, a, b], 0)
    }

    #[inline(always)]
    fn header(src: &Self, dst: &Self, protocol: u8, len: u16) -> Self::Header {
        const DONT_FRAGMENT: u8 = 0x40;
        let mut header = [0; 20];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&(Self::HEADER as u16 + len).to_be_bytes());
        header[6] = DONT_FRAGMENT;
        header[8] = HOPS;
        header[9] = protocol;
        header[12..16].copy_from_slice(&src.ip);
        header[16..20].copy_from_slice(&dst.ip);
        let checksum = !fold(sum(&header));
        header[10..12].copy_from_slice(&checksum.to_ne_bytes());
        header
    }
}

/// Which part of a datagram the `len` bytes behind the header are.
#[inline(always)]
fn part(header: &Ipv4, len: u32) -> Part {
    const MORE: u16 = 0x2000;
    const UNITS: u16 = 0x1fff;
    let place = u16::from_be(header.fragment);
    Part {
        id: u32::from(header.id),
        offset: u32::from(place & UNITS) * 8,
        len,
        more: u32::from(place & MORE != 0),
    }
}
