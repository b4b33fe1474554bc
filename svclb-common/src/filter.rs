//! The cheap probe: "may this address concern svclb at all?"
//!
//! A bitmap in an array map. Each address has two bits in one word, chosen by its hash. A set bit
//! may be another address's (then the packet takes the slow path and finds nothing); a clear bit is
//! certain. Written by the agent only, read by every packet.

use crate::{address::Address, hash};

/// How many 64-bit words the bitmap has: 2^14 words hold 2^19 addresses' bits in 128 KiB, which
/// stay in the second-level cache.
pub const WORDS: u32 = 1 << 14;

/// What an address is to svclb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// It may be asked: frontends, and the node's addresses.
    Frontend,
    /// It may answer: backends. Looked at as a destination at ingress, as either end at egress.
    Backend,
}

/// The word and the mask of an address.
#[inline(always)]
pub fn place<A: Address>(address: &A, interest: Interest) -> (u32, u64) {
    let hash = hash::address(0, address) as u32;
    let word = hash & (WORDS - 1);
    let pair = (hash >> 27) * 2;
    let bit = match interest {
        Interest::Frontend => pair,
        Interest::Backend => pair + 1,
    };
    (word, 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::V4;

    #[test]
    fn places_are_in_range_and_spread() {
        let mut words = std::collections::HashSet::new();
        for i in 0..=255_u8 {
            let (word, mask) = place(&V4 { ip: [10, 0, 0, i] }, Interest::Backend);
            assert!(word < WORDS);
            assert_eq!(mask.count_ones(), 1);
            words.insert((word, mask));
        }
        assert!(words.len() > 250, "{} of 256 addresses have places of their own", words.len());
    }

    #[test]
    fn the_two_interests_never_share_a_bit() {
        for i in 0..=255_u8 {
            let address = V4 { ip: [10, 1, i, 7] };
            let (w1, a) = place(&address, Interest::Frontend);
            let (w2, b) = place(&address, Interest::Backend);
            assert_eq!(w1, w2);
            assert_eq!(a & b, 0);
        }
    }
}
