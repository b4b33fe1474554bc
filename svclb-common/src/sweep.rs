//! What the agent and the program `sweep` tell each other, in the packet that it is run on.
//!
//! ```text
//! bytes  0..4   the first record to look at, host order
//! bytes  4..    one bit a record: an end of this severed flow has yet to be told; IPv4, then IPv6
//! ```

use crate::layout::size::SWEEP_STRIDE;

/// Bytes of one family's bits.
const FAMILY: usize = SWEEP_STRIDE as usize / 8;
/// Where the bits begin.
const BITS: usize = 4;
/// Length of the packet in bytes.
pub const LEN: usize = BITS + 2 * FAMILY;

/// Where the bit of a record is: its byte, counted from the packet's beginning, and its mask.
/// `family`: 0 for IPv4, 1 for IPv6; `index`: counted from the first record of this run.
#[inline(always)]
pub fn place(family: u32, index: u32) -> (u32, u8) {
    let byte = BITS as u32 + family * FAMILY as u32 + index / 8;
    (byte, 1 << (index % 8))
}

/// The packet that asks for a run from the record `first` on.
pub fn request(first: u32) -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[..BITS].copy_from_slice(&first.to_ne_bytes());
    packet
}

/// The records whose bits are set in what a run has left of its packet: family and index.
pub fn set(packet: &[u8; LEN]) -> impl Iterator<Item = (u32, u32)> {
    let bytes = packet[BITS..].iter().zip(0_usize..).filter(|(byte, _)| **byte != 0);
    bytes.flat_map(|(byte, at)| {
        let (family, first) = ((at / FAMILY) as u32, (at % FAMILY * 8) as u32);
        let set = (0..8_u32).filter(move |bit| byte & (1 << bit) != 0);
        set.map(move |bit| (family, first + bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_with_the_first_record_and_has_no_bit_set() {
        let packet = request(8192);
        assert_eq!(packet[..4], 8192_u32.to_ne_bytes());
        assert_eq!(set(&packet).count(), 0);
    }

    #[test]
    fn every_record_of_both_families_has_a_bit_of_its_own() {
        let mut packet = request(0);
        let records =
            [(0, 0), (0, 7), (0, SWEEP_STRIDE - 1), (1, 0), (1, 8), (1, SWEEP_STRIDE - 1)];
        for (family, index) in records {
            let (byte, bit) = place(family, index);
            packet[byte as usize] |= bit;
        }
        assert_eq!(set(&packet).collect::<Vec<_>>(), records);
        assert_eq!(packet[..4], [0; 4], "the request is left alone");
    }
}
