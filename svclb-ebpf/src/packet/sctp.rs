//! Writing a new tuple into an SCTP packet.
//!
//! Its CRC32c covers the ports, not the addresses. A packet of a host whose device is to compute it
//! (NETIF_F_SCTP_CRC, as veths have it; large ones that are cut at the device among them) carries
//! zero there until then, and a program cannot see that this is so: zero stays zero. One packet in
//! 2^32 has a CRC of zero by right, and is lost if its ports change.

use aya_ebpf::bindings::{BPF_F_INVALIDATE_HASH, BPF_F_RECOMPUTE_CSUM};
use svclb_common::{
    crc32c::{Difference, LENGTH_BITS},
    tuple::Tuple,
};

use super::{Network, Packet, headers::Sctp};
use crate::raw::{self, Skb};

/// Offset of the CRC in an SCTP header.
const CHECKSUM: u32 = 8;

/// Gives `packet` the addresses and ports of `to`.
#[inline(always)]
pub fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>, to: &Tuple<A>) -> Result<(), ()> {
    let from = &packet.tuple;
    if from.src != to.src || from.dst != to.dst {
        A::store_addresses(skb, from, to)?;
    }
    if from.sport != to.sport || from.dport != to.dport {
        let (old, new) = (ports(from), ports(to));
        let header = skb.copy::<Sctp>(packet.transport).ok_or(())?;
        if header.checksum != 0 {
            let length = packet.len.wrapping_sub(packet.transport);
            let checksum = updated(header.checksum, old, new, length);
            skb.store(packet.transport + CHECKSUM, &checksum, BPF_F_RECOMPUTE_CSUM)?;
        }
        skb.store(packet.transport, &new, BPF_F_INVALIDATE_HASH | BPF_F_RECOMPUTE_CSUM)?;
    }
    Ok(())
}

/// The ports as they lie in a packet.
#[inline(always)]
fn ports<A>(tuple: &Tuple<A>) -> u32 {
    let ([a, b], [c, d]) = (tuple.sport.to_be_bytes(), tuple.dport.to_be_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

#[inline(always)]
fn updated(checksum: u32, old: u32, new: u32, length: u32) -> u32 {
    let mut difference = Difference::new(old, new, length);
    raw::repeat(LENGTH_BITS, &mut difference, step);
    difference.apply(checksum)
}

extern "C" fn step(bit: u32, difference: *mut Difference) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    unsafe { &mut *difference }.step(bit);
    0
}
