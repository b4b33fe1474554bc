//! The Internet checksum and its incremental update (RFC 1071, RFC 1624).
//!
//! Sums are one's-complement sums of the 16-bit words *as they lie in memory*. The sum is the same
//! in either byte order but for a swap of the result (RFC 1071, section 2B), so nothing here
//! swaps, and the kernel's `__wsum` arguments take the values as they are.

use crate::address::Address;

/// A running one's-complement difference between old and new contents, for
/// `bpf_l4_csum_replace` (size 0) and for the IPv4 header.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Difference(u64);

impl Difference {
    /// Nothing has changed.
    pub const NONE: Self = Self(0);

    /// Adds the replacement of one 32-bit word.
    #[inline(always)]
    #[must_use]
    pub fn word(self, old: u32, new: u32) -> Self {
        Self(self.0 + u64::from(!old) + u64::from(new))
    }

    /// Adds the replacement of one port, given in host order.
    #[inline(always)]
    #[must_use]
    pub fn port(self, old: u16, new: u16) -> Self {
        Self(self.0 + u64::from(!old.to_be()) + u64::from(new.to_be()))
    }

    /// Adds the replacement of an address.
    #[inline(always)]
    #[must_use]
    pub fn address<A: Address>(self, old: &A, new: &A) -> Self {
        let mut sum = self;
        let mut i = 0;
        while i < A::WORDS {
            sum = sum.word(old.word(i), new.word(i));
            i += 1;
        }
        sum
    }

    /// The difference folded to the kernel's `__wsum`.
    #[inline(always)]
    pub fn wsum(self) -> u32 {
        let once = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        ((once & 0xffff_ffff) + (once >> 32)) as u32
    }

    /// The checksum field `old` (as it lies in memory) brought up to date: RFC 1624, equation 3.
    #[inline(always)]
    pub fn apply(self, old: u16) -> u16 {
        !fold(u64::from(!old) + u64::from(self.wsum()))
    }
}

/// Folds a sum of 16-bit words to 16 bits.
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// The sum of a pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1): `len` is that of the
/// transport header and all behind it, in bytes.
#[inline(always)]
pub fn pseudo_header<A: Address>(src: &A, dst: &A, protocol: u8, len: u16) -> u64 {
    let mut total = u64::from(u16::from(protocol).to_be()) + u64::from(len.to_be());
    let mut i = 0;
    while i < A::WORDS {
        total += u64::from(src.word(i)) + u64::from(dst.word(i));
        i += 1;
    }
    total
}

/// The one's-complement sum of `bytes`, an odd last byte padded with zero (RFC 1071).
#[inline(always)]
pub fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0_u64;
    let mut chunks = bytes.chunks_exact(2);
    for pair in &mut chunks {
        total += u64::from(u16::from_ne_bytes([pair[0], pair[1]]));
    }
    if let [last] = chunks.remainder() {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{V4, V6};

    fn full(bytes: &[u8]) -> u16 {
        !fold(sum(bytes))
    }

    /// The example of RFC 1071, section 3.
    #[test]
    fn sum_of_the_rfc_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), u16::from_be_bytes([0xdd, 0xf2]).to_be());
    }

    /// A simple pseudo-random walk: every update must equal the sum over the whole.
    #[test]
    fn incremental_equals_full_for_random_headers() {
        let mut state = 0x1234_5678_9abc_def0_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for _ in 0..10_000 {
            let mut packet: Vec<u8> = (0..40).map(|_| next() as u8).collect();
            let before = full(&packet);
            let read = |p: &[u8], at: usize| V4 { ip: [p[at], p[at + 1], p[at + 2], p[at + 3]] };
            let read6 = |p: &[u8], at: usize| {
                let mut ip = [0; 16];
                ip.copy_from_slice(&p[at..at + 16]);
                V6 { ip }
            };
            let port = |p: &[u8]| u16::from_be_bytes([p[36], p[37]]);
            let (old4, old6, old_port) = (read(&packet, 12), read6(&packet, 16), port(&packet));
            for at in (12..16).chain(16..32).chain(36..38) {
                packet[at] = next() as u8;
            }
            let change = Difference::NONE
                .address(&old4, &read(&packet, 12))
                .address(&old6, &read6(&packet, 16))
                .port(old_port, port(&packet));
            let (incremental, whole) = (change.apply(before), full(&packet));
            // 0x0000 and 0xffff are the same number in one's complement.
            assert!(
                incremental == whole || (incremental ^ whole) == 0xffff,
                "{incremental:04x} {whole:04x}"
            );
        }
    }

    #[test]
    fn no_change_leaves_the_checksum() {
        for old in [0_u16, 1, 0x1234, 0xfffe] {
            let same = Difference::NONE.port(80, 80).word(7, 7).apply(old);
            assert!(same == old, "{same:04x} {old:04x}");
        }
    }
}
