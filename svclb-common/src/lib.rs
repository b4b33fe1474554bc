//! The contract between svclb's kernel programs and its agent.
//!
//! Everything here is `no_std`, free of kernel helpers and unit-tested on the host: the keys and
//! values of the maps, the arithmetic of the NAT, and the decisions about flows.
//!
//! **Byte order.** Addresses are the bytes of the wire, in order; `bpftool map dump` prints
//! `[10,96,0,1]`. Ports and all other numbers are in the host's order; it prints `80`. The packet
//! parser and writer are the only places that swap.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod address;
mod branchless;
pub mod checksum;
pub mod counters;
pub mod crc32c;
pub mod echo;
pub mod event;
pub mod filter;
pub mod flow;
pub mod fragment;
pub mod frontend;
pub mod hash;
pub mod layout;
pub mod limit;
pub mod names;
pub mod outcome;
pub mod sctp;
pub mod socket;
pub mod sweep;
pub mod tuple;

/// Marks map types as plain data for aya's user-space maps, where the `user` feature is on.
macro_rules! plain_data {
    ($($ty:ty),+ $(,)?) => {
        $(
            #[cfg(feature = "user")]
            // SAFETY: repr(C), no padding (each type asserts its size beside its definition),
            // and every bit pattern is a value.
            unsafe impl aya::Pod for $ty {}
        )+
    };
}
pub(crate) use plain_data;
