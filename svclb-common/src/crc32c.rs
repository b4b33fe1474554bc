//! SCTP's checksum (CRC32c: RFC 9260, appendix A) and its incremental update.
//!
//! A CRC is linear: two messages of one length differ in their CRCs by what their difference gives
//! on its own, whatever else they contain. The difference of two packets whose ports differ is the
//! four bytes of the ports, `D`, and zeros, and its CRC is `D * x^(8 * length)` modulo the
//! polynomial. So a packet's payload need not be read to give it other ports.
//!
//! Polynomials are in the reflected order that CRC32c is computed in: the lowest bit of a word is
//! the coefficient of the highest power, so that the bytes of the wire, read as a little-endian
//! word, are a polynomial as they are. Nothing here branches on data: for the kernel's verifier,
//! every multiplication is one straight line.

use crate::branchless::times;

/// The polynomial 0x1EDC6F41, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomial 1.
const ONE: u32 = 1 << 31;
/// The polynomial x^32 modulo [`POLYNOMIAL`]: what is left of that without its first term.
const X32: u32 = POLYNOMIAL;

/// How many bits the length of an IP payload has.
pub const LENGTH_BITS: u32 = 16;

/// By bit number: what a length with that bit alone multiplies by, x^(8 * 2^bit).
const POWERS: [u32; LENGTH_BITS as usize] = [
    0x0080_0000,
    0x0000_8000,
    0x82f6_3b78,
    0x6ea2_d55c,
    0x18b8_ea18,
    0x510a_c59a,
    0xb82b_e955,
    0xb8fd_b1e7,
    0x88e5_6f72,
    0x74c3_60a4,
    0xe417_2b16,
    0x0d65_762a,
    0x35d7_3a62,
    0x2846_1564,
    0xbf45_5269,
    0xe2ea_32dc,
];

/// The difference of two packets' CRCs on its way over the packet's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    word: u32,
    length: u32,
}

impl Difference {
    /// The difference of two packets of `length` bytes (below 65536) that begin with the words
    /// `old` and `new`, as they lie in memory, and are else the same.
    #[inline(always)]
    pub fn new(old: u32, new: u32, length: u32) -> Self {
        Self { word: u32::from_le(old ^ new), length }
    }

    /// One step of [`LENGTH_BITS`], in any order: the part of one bit of the length.
    #[inline(always)]
    pub fn step(&mut self, bit: u32) {
        let power = if self.length >> bit & 1 == 0 { ONE } else { power_of(bit) };
        self.word = multiply(self.word, power);
    }

    /// The checksum field `old` (as it lies in memory) brought up to date, after all steps.
    #[inline(always)]
    pub fn apply(&self, old: u32) -> u32 {
        old ^ self.word.to_le()
    }
}

/// The CRC32c of `N` words, as they lie in memory, in the form of a checksum field.
#[inline(always)]
pub fn of_words<const N: usize>(words: &[u32; N]) -> u32 {
    let mut crc = !0;
    let mut i = 0;
    while i < N {
        crc = multiply(crc ^ u32::from_le(words[i]), X32);
        i += 1;
    }
    (!crc).to_le()
}

#[inline(always)]
fn power_of(bit: u32) -> u32 {
    POWERS.get(bit as usize).copied().unwrap_or(ONE)
}

/// The product of two polynomials modulo the polynomial.
#[inline(always)]
fn multiply(a: u32, b: u32) -> u32 {
    let (mut product, mut shifted) = (0, b);
    let mut i = 0;
    while i < u32::BITS {
        product ^= times(shifted, a >> (u32::BITS - 1 - i));
        shifted = times_x(shifted);
        i += 1;
    }
    product
}

#[inline(always)]
fn times_x(polynomial: u32) -> u32 {
    (polynomial >> 1) ^ times(POLYNOMIAL, polynomial)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table-driven CRC32c of other authors.
    fn reference(bytes: &[u8]) -> u32 {
        crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(bytes)
    }

    fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
        core::array::from_fn(|i| u32::from_ne_bytes(bytes[4 * i..][..4].try_into().unwrap()))
    }

    #[test]
    fn each_power_is_the_last_ones_square() {
        assert_eq!((0..8).fold(ONE, |power, _| times_x(power)), POWERS[0]);
        assert_eq!((0..32).fold(ONE, |power, _| times_x(power)), X32);
        for pair in POWERS.windows(2) {
            assert_eq!(multiply(pair[0], pair[0]), pair[1]);
        }
    }

    /// RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and counting up.
    #[test]
    fn known_vectors() {
        let counting: Vec<u8> = (0..32).collect();
        for (bytes, crc) in
            [(vec![0; 32], 0x8a91_36aa_u32), (vec![0xff; 32], 0x62a8_ab43), (counting, 0x46dd_794e)]
        {
            assert_eq!(of_words(&words::<8>(&bytes)), crc.to_le());
            assert_eq!(reference(&bytes), crc, "the reference");
        }
    }

    /// Every length has its own chain of multiplications: each bit alone, its neighbours, and odd
    /// ones.
    #[test]
    fn an_update_equals_the_crc_over_the_whole_for_every_length() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let bits = (4..16).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for length in (12..600).chain(bits).chain([65_515, 65_535]) {
            let mut packet: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            let (before, [old]) = (reference(&packet), words(&packet));
            packet[..4].copy_from_slice(&next().to_ne_bytes());
            let [new] = words(&packet);
            let mut difference = Difference::new(old, new, length as u32);
            (0..LENGTH_BITS).for_each(|bit| difference.step(bit));
            let updated = u32::from_le(difference.apply(before.to_le()));
            assert_eq!(updated, reference(&packet), "{length} bytes");
        }
    }

    #[test]
    fn no_change_leaves_the_checksum() {
        let mut difference = Difference::new(7, 7, 1_000);
        (0..LENGTH_BITS).for_each(|bit| difference.step(bit));
        assert_eq!(difference.apply(0x1234_5678), 0x1234_5678);
    }
}
