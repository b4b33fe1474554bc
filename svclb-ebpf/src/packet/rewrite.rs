//! Writing a new tuple into a packet, its checksums kept right.
//!
//! A program cannot see what the kernel knows of a packet's checksum (none, partial, complete), so
//! layer 4 goes through `bpf_l4_csum_replace`, which can: addresses are part of the pseudo header,
//! ports are not. SCTP's checksum is of another kind ([`sctp`]).

use aya_ebpf::bindings::{BPF_F_INVALIDATE_HASH, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR};
use svclb_common::{
    checksum::Difference,
    outcome::Outcome,
    tuple::{SCTP, Tuple, UDP},
};

use super::{Network, Packet, sctp};
use crate::raw::Skb;

/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: u32 = 16;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: u32 = 6;

/// Gives `packet` the addresses and ports of `to`.
#[inline(never)]
pub fn rewrite<A: Network>(
    skb: &mut Skb,
    packet: &Packet<A>,
    to: &Tuple<A>,
) -> Result<(), Outcome> {
    let written = match packet.tuple.protocol {
        SCTP => sctp::write(skb, packet, to),
        _ => write(skb, packet, to),
    };
    written.map_err(|()| Outcome::RewriteFailed)
}

#[inline(always)]
fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>, to: &Tuple<A>) -> Result<(), ()> {
    let from = &packet.tuple;
    // A UDP checksum of zero means "none" and stays; one that becomes zero is sent as 0xffff.
    let (checksum, flags) = match from.protocol {
        UDP => (packet.transport + UDP_CHECKSUM, BPF_F_MARK_MANGLED_0),
        _ => (packet.transport + TCP_CHECKSUM, 0),
    };
    if from.src != to.src || from.dst != to.dst {
        let change = Difference::NONE.address(&from.src, &to.src).address(&from.dst, &to.dst);
        skb.update_checksum(checksum, change.wsum(), flags | BPF_F_PSEUDO_HDR)?;
        A::store_addresses(skb, from, to)?;
    }
    if from.sport != to.sport || from.dport != to.dport {
        let change = Difference::NONE.port(from.sport, to.sport).port(from.dport, to.dport);
        skb.update_checksum(checksum, change.wsum(), flags)?;
        let ports = [to.sport.to_be(), to.dport.to_be()];
        skb.store(packet.transport, &ports, BPF_F_INVALIDATE_HASH)?;
    }
    Ok(())
}
