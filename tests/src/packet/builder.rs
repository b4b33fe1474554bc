//! The packet as a value, and how to describe it.

use std::net::{IpAddr, SocketAddr};

use super::{
    field::Field,
    network::{Extension, Fragment, Ip},
    sctp::Common,
    transport::{Tcp, Transport},
};

/// Destination MAC address of a frame unless said otherwise.
pub const THIS_NODE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// Source MAC address of a frame unless said otherwise.
pub const STATION: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

#[derive(Clone, Debug)]
pub(super) struct Ethernet {
    pub(super) src: [u8; 6],
    pub(super) dst: [u8; 6],
    pub(super) ethertype: Option<u16>,
}

/// A packet under construction. Without [`Packet::ethernet`] it starts with the IP header.
#[derive(Clone, Debug)]
pub struct Packet {
    pub(super) ethernet: Option<Ethernet>,
    pub(super) vlans: Vec<u16>,
    pub(super) ip: Ip,
    pub(super) transport: Transport,
    pub(super) payload: Vec<u8>,
    pub(super) overrides: Vec<(Field, u16)>,
    pub(super) kept: Option<usize>,
}

/// What a packet carries.
impl Packet {
    /// A TCP SYN. `src` and `dst` are of one family, here and below.
    pub fn tcp(src: SocketAddr, dst: SocketAddr) -> Self {
        let transport = Transport::Tcp(Tcp::new(src.port(), dst.port()));
        Self::new(src.ip(), dst.ip(), transport)
    }

    /// A UDP datagram.
    pub fn udp(src: SocketAddr, dst: SocketAddr) -> Self {
        Self::new(src.ip(), dst.ip(), Transport::Udp { ports: (src.port(), dst.port()) })
    }

    /// An SCTP packet with this verification tag; its chunks ([`super::sctp::chunk`]) are the
    /// payload.
    pub fn sctp(src: SocketAddr, dst: SocketAddr, tag: u32) -> Self {
        let common = Common { sport: src.port(), dport: dst.port(), tag };
        Self::new(src.ip(), dst.ip(), Transport::Sctp(common))
    }

    /// An ICMP or ICMPv6 message, by the family of the addresses; the 4 bytes behind its checksum
    /// are zero.
    pub fn icmp(src: IpAddr, dst: IpAddr, kind: u8, code: u8) -> Self {
        Self::new(src, dst, Transport::Icmp { v6: src.is_ipv6(), kind, code, rest: [0; 4] })
    }

    /// A packet of any protocol; the payload is all it carries.
    pub fn protocol(protocol: u8, src: IpAddr, dst: IpAddr) -> Self {
        Self::new(src, dst, Transport::Other(protocol))
    }

    fn new(src: IpAddr, dst: IpAddr, transport: Transport) -> Self {
        Self {
            ethernet: None,
            vlans: Vec::new(),
            ip: Ip::new(src, dst),
            transport,
            payload: Vec::new(),
            overrides: Vec::new(),
            kept: None,
        }
    }

    /// The bytes behind the transport header.
    #[must_use]
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = bytes.to_vec();
        self
    }

    /// TCP flags ([`super::flags`]) in place of SYN.
    #[must_use]
    pub fn flags(self, flags: u8) -> Self {
        self.tcp_header(|tcp| tcp.flags = flags)
    }

    /// TCP sequence and acknowledgement numbers.
    #[must_use]
    pub fn numbers(self, seq: u32, ack: u32) -> Self {
        self.tcp_header(|tcp| (tcp.seq, tcp.ack) = (seq, ack))
    }

    /// TCP options, padded with zeros to a multiple of 4 bytes.
    #[must_use]
    pub fn tcp_options(self, options: &[u8]) -> Self {
        self.tcp_header(|tcp| tcp.options = options.to_vec())
    }

    /// The 4 bytes behind an ICMP message's checksum in place of zeros.
    #[must_use]
    pub fn rest(mut self, bytes: [u8; 4]) -> Self {
        match &mut self.transport {
            Transport::Icmp { rest, .. } => *rest = bytes,
            other => panic!("protocol {} has no ICMP header", other.protocol()),
        }
        self
    }

    /// UDP without a checksum: the field is zero.
    /// UDP or SCTP without a checksum: the field is zero.
    #[must_use]
    pub fn no_checksum(self) -> Self {
        match self.transport {
            Transport::Sctp(_) => {
                self.set(Field::SctpChecksumHigh, 0).set(Field::SctpChecksumLow, 0)
            }
            _ => self.set(Field::UdpChecksum, 0),
        }
    }

    fn tcp_header(mut self, change: impl FnOnce(&mut Tcp)) -> Self {
        match &mut self.transport {
            Transport::Tcp(tcp) => change(tcp),
            other => panic!("protocol {} has no TCP header", other.protocol()),
        }
        self
    }
}

/// How a packet travels.
impl Packet {
    /// An Ethernet header from [`STATION`] to [`THIS_NODE`].
    #[must_use]
    pub fn ethernet(self) -> Self {
        self.macs(STATION, THIS_NODE)
    }

    /// An Ethernet header with these addresses.
    #[must_use]
    pub fn macs(mut self, src: [u8; 6], dst: [u8; 6]) -> Self {
        self.ethernet = Some(Ethernet { src, dst, ethertype: None });
        self
    }

    /// A VLAN tag (802.1Q) in the Ethernet header; a second call adds an inner one.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.vlans.push(id);
        if self.ethernet.is_some() { self } else { self.ethernet() }
    }

    /// An Ethernet header that says another ethertype than the packet's.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        let header =
            self.ethernet.get_or_insert(Ethernet { src: STATION, dst: THIS_NODE, ethertype: None });
        header.ethertype = Some(ethertype);
        self
    }

    /// Time to live or hop limit; 64 unless said otherwise.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ip.ttl = ttl;
        self
    }

    /// Type of service or traffic class.
    #[must_use]
    pub fn traffic_class(mut self, class: u8) -> Self {
        self.ip.traffic_class = class;
        self
    }

    /// IPv4 options, padded with zeros to a multiple of 4 bytes.
    #[must_use]
    pub fn ipv4_options(mut self, options: &[u8]) -> Self {
        self.ip.options = options.to_vec();
        self
    }

    /// One more IPv6 extension header behind those there are.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        self.ip.extensions.push(extension);
        self
    }

    /// Marks the packet as a fragment, its contents unchanged: `offset` in bytes, a multiple of 8.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.ip.fragment = Some(Fragment { offset, more });
        self
    }

    /// The sender's number of the datagram, of which IPv4 takes the lower half.
    #[must_use]
    pub fn id(mut self, id: u32) -> Self {
        self.ip.id = id;
        self
    }

    /// Gives a field a wrong value; the last value set counts.
    #[must_use]
    pub fn set(mut self, field: Field, value: u16) -> Self {
        self.overrides.push((field, value));
        self
    }

    /// Keeps only the first bytes of the frame.
    #[must_use]
    pub fn truncated(mut self, bytes: usize) -> Self {
        self.kept = Some(bytes);
        self
    }
}
