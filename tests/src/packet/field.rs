//! The header fields that a test can give a wrong value.

/// A header field, written over after the packet is laid out and before its checksums are
/// computed; a checksum field is written last. So exactly one thing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The IP version: 4 bits.
    Version,
    /// IPv4 header length in 32-bit words: 4 bits.
    Ipv4HeaderWords,
    /// IPv4 total length in bytes.
    Ipv4TotalLength,
    /// IPv4 flags and fragment offset, all 16 bits.
    Ipv4Fragment,
    /// IPv4 protocol number.
    Ipv4Protocol,
    /// IPv4 header checksum.
    Ipv4Checksum,
    /// IPv6 payload length in bytes.
    Ipv6PayloadLength,
    /// Next header number in the fixed IPv6 header.
    Ipv6NextHeader,
    /// TCP header length in 32-bit words: 4 bits.
    TcpHeaderWords,
    /// TCP checksum.
    TcpChecksum,
    /// UDP length in bytes.
    UdpLength,
    /// UDP checksum.
    UdpChecksum,
    /// The upper half of SCTP's verification tag.
    SctpTag,
    /// The upper half of SCTP's checksum.
    SctpChecksumHigh,
    /// The lower half.
    SctpChecksumLow,
    /// Length in bytes of an SCTP packet's first chunk.
    SctpChunkLength,
    /// ICMP and ICMPv6 checksum.
    IcmpChecksum,
}

/// The header that a field belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layer {
    Network,
    Transport,
}

impl Field {
    pub(super) fn layer(self) -> Layer {
        match self {
            Self::TcpHeaderWords
            | Self::TcpChecksum
            | Self::UdpLength
            | Self::UdpChecksum
            | Self::SctpTag
            | Self::SctpChecksumHigh
            | Self::SctpChecksumLow
            | Self::SctpChunkLength
            | Self::IcmpChecksum => Layer::Transport,
            _ => Layer::Network,
        }
    }

    pub(super) fn is_checksum(self) -> bool {
        matches!(
            self,
            Self::Ipv4Checksum
                | Self::TcpChecksum
                | Self::UdpChecksum
                | Self::SctpChecksumHigh
                | Self::SctpChecksumLow
                | Self::IcmpChecksum
        )
    }

    /// Writes `value` into the header that starts at `header[0]`; nothing if the header is shorter.
    pub(super) fn write(self, header: &mut [u8], value: u16) {
        let (offset, mask) = self.place();
        let Some(word) = header.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<2>())
        else {
            return;
        };
        let kept = u16::from_be_bytes(*word) & !mask;
        *word = (kept | ((value << mask.trailing_zeros()) & mask)).to_be_bytes();
    }

    /// Byte offset of the 16-bit word that holds the field, and its bits in that word.
    fn place(self) -> (usize, u16) {
        match self {
            Self::Version => (0, 0xf000),
            Self::Ipv4HeaderWords => (0, 0x0f00),
            Self::Ipv4TotalLength => (2, 0xffff),
            Self::Ipv4Fragment => (6, 0xffff),
            Self::Ipv4Protocol => (8, 0x00ff),
            Self::Ipv4Checksum => (10, 0xffff),
            Self::Ipv6PayloadLength => (4, 0xffff),
            Self::Ipv6NextHeader => (6, 0xff00),
            Self::TcpHeaderWords => (12, 0xf000),
            Self::TcpChecksum => (16, 0xffff),
            Self::UdpLength => (4, 0xffff),
            Self::UdpChecksum => (6, 0xffff),
            Self::SctpTag => (4, 0xffff),
            Self::SctpChecksumHigh => (8, 0xffff),
            Self::SctpChecksumLow => (10, 0xffff),
            Self::SctpChunkLength => (14, 0xffff),
            Self::IcmpChecksum => (2, 0xffff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_leaves_its_neighbours() {
        let mut header = [0xff; 20];
        Field::Ipv4HeaderWords.write(&mut header, 0);
        assert_eq!(header[..2], [0xf0, 0xff]);
        Field::Ipv4Protocol.write(&mut header, 0x12);
        assert_eq!(header[8..10], [0xff, 0x12]);
        Field::TcpHeaderWords.write(&mut header, 5);
        assert_eq!(header[12..14], [0x5f, 0xff]);
    }

    #[test]
    fn a_header_that_is_too_short_is_left() {
        let mut header = [0; 5];
        Field::UdpLength.write(&mut header, 7);
        assert_eq!(header, [0; 5]);
    }
}
