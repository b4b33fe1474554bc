//! SCTP (RFC 9260): chunks and the checksum, by another implementation than the programs'.

/// Chunk types.
pub mod kind {
    pub use svclb_common::sctp::chunk::{
        ABORT, COOKIE_ACK, ERROR, INIT, INIT_ACK, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE,
    };
    /// User data.
    pub const DATA: u8 = 0;
    /// Acknowledges data.
    pub const SACK: u8 = 3;
    /// Returns the cookie of an INIT ACK.
    pub const COOKIE_ECHO: u8 = 10;
}

/// Length of the common header.
pub const HEADER: usize = 12;
/// Where the checksum lies in it.
pub const CHECKSUM: std::ops::Range<usize> = 8..12;

/// A chunk's bytes, padded to whole words.
pub fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let [hi, lo] = ((4 + value.len()) as u16).to_be_bytes();
    let mut bytes = [&[kind, flags, hi, lo], value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The checksum of a packet as it is written into it; what stands there does not matter.
pub fn checksum(packet: &[u8]) -> [u8; 4] {
    let mut packet = packet.to_vec();
    if let Some(field) = packet.get_mut(CHECKSUM) {
        field.fill(0);
    }
    crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&packet).to_le_bytes()
}

/// A verification tag for a packet that begins with a chunk of this type: none where the receiver
/// has not given one yet.
pub fn tag(kind: u8) -> u32 {
    if kind == kind::INIT { 0 } else { 0x1234_5678 }
}

/// The numbers of a packet's common header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Common {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Verification tag.
    pub tag: u32,
}

impl Common {
    /// The common header at the start of a packet, if the packet is long enough.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<HEADER>()?;
        let port = |at| u16::from_be_bytes([header[at], header[at + 1]]);
        let tag = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        Some(Self { sport: port(0), dport: port(2), tag })
    }

    /// A packet of this header and `chunks`, its checksum right.
    pub fn packet(&self, chunks: &[u8]) -> Vec<u8> {
        let Self { sport, dport, tag } = self;
        let mut packet = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
        packet.extend(tag.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(chunks);
        let checksum = checksum(&packet);
        packet[CHECKSUM].copy_from_slice(&checksum);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk's length does not count its padding (RFC 9260, section 3.2).
    #[test]
    fn chunks_are_padded() {
        assert_eq!(
            chunk(kind::DATA, 3, b"12345"),
            [0, 3, 0, 9, b'1', b'2', b'3', b'4', b'5', 0, 0, 0]
        );
    }

    #[test]
    fn a_packet_says_what_it_was_made_of() {
        let common = Common { sport: 7, dport: 0x1234, tag: 0xdead_beef };
        let packet = common.packet(&chunk(kind::SACK, 0, &[]));
        assert_eq!(packet.len(), HEADER + 4);
        assert_eq!((Common::of(&packet), Common::of(&packet[..11])), (Some(common), None));
    }
}
