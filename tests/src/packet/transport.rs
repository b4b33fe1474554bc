//! What an IP packet carries: TCP, UDP, SCTP, ICMP or bytes of any protocol.

use super::{field::Field, flags, sctp::Common};
use svclb_common::tuple::{SCTP, TCP, UDP};

/// A TCP header but for its checksum.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    pub(super) ports: (u16, u16),
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) options: Vec<u8>,
}

impl Tcp {
    pub(super) fn new(sport: u16, dport: u16) -> Self {
        Self {
            ports: (sport, dport),
            seq: 1_000,
            ack: 0,
            flags: flags::SYN,
            window: 64_240,
            options: Vec::new(),
        }
    }
}

/// The header behind the network header.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Tcp(Tcp),
    Udp { ports: (u16, u16) },
    Sctp(Common),
    Icmp { v6: bool, kind: u8, code: u8, rest: [u8; 4] },
    Other(u8),
}

impl Transport {
    /// The IANA protocol number.
    pub(super) fn protocol(&self) -> u8 {
        match self {
            Self::Tcp(_) => TCP,
            Self::Udp { .. } => UDP,
            Self::Sctp(_) => SCTP,
            Self::Icmp { v6: false, .. } => 1,
            Self::Icmp { v6: true, .. } => 58,
            Self::Other(protocol) => *protocol,
        }
    }

    /// The header in front of `payload` bytes, its checksum zero.
    pub(super) fn header(&self, payload: usize) -> Vec<u8> {
        match self {
            Self::Tcp(tcp) => tcp_header(tcp),
            Self::Udp { ports } => {
                let mut header = both(*ports);
                header.extend(((8 + payload) as u16).to_be_bytes());
                header.extend([0, 0]);
                header
            }
            Self::Sctp(common) => common.packet(&[]),
            Self::Icmp { kind, code, rest, .. } => [&[*kind, *code, 0, 0][..], rest].concat(),
            Self::Other(_) => Vec::new(),
        }
    }

    /// The Internet checksum's field, if this protocol has one.
    pub(super) fn checksum(&self) -> Option<Field> {
        match self {
            Self::Tcp(_) => Some(Field::TcpChecksum),
            Self::Udp { .. } => Some(Field::UdpChecksum),
            Self::Icmp { .. } => Some(Field::IcmpChecksum),
            Self::Sctp(_) | Self::Other(_) => None,
        }
    }

    /// Whether the checksum covers the pseudo header.
    pub(super) fn has_pseudo_header(&self) -> bool {
        !matches!(self, Self::Icmp { v6: false, .. })
    }
}

fn tcp_header(tcp: &Tcp) -> Vec<u8> {
    let mut options = tcp.options.clone();
    options.resize(options.len().next_multiple_of(4), 0);
    let words = ((20 + options.len()) / 4) as u8;
    let mut header = both(tcp.ports);
    header.extend(tcp.seq.to_be_bytes());
    header.extend(tcp.ack.to_be_bytes());
    header.extend([words << 4, tcp.flags]);
    header.extend(tcp.window.to_be_bytes());
    header.extend([0, 0, 0, 0]);
    header.extend(options);
    header
}

fn both((sport, dport): (u16, u16)) -> Vec<u8> {
    [sport.to_be_bytes(), dport.to_be_bytes()].concat()
}
