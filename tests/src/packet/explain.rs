//! What a frame says, every checksum and length verified.
//!
//! The headers are taken apart by another implementation than the builder's, so that the two check
//! each other.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use etherparse::{IpNumber, IpPayloadSlice, LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use svclb_common::{checksum, tuple::SCTP};

use super::{
    flags,
    network::pseudo_sum,
    sctp::{self, Common},
};

/// What a frame starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// The IP header.
    None,
    /// An Ethernet header, VLAN tags included.
    Ethernet,
}

/// The TCP header's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// [`flags`].
    pub flags: u8,
}

/// A frame, explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Source and destination MAC address, if there is an Ethernet header.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// VLAN ids, the outer first.
    pub vlans: Vec<u16>,
    /// Source address; the port is 0 where the protocol has none or a fragment hides it.
    pub src: SocketAddr,
    /// Destination address.
    pub dst: SocketAddr,
    /// IANA protocol number behind the IP headers.
    pub protocol: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Whether the packet is a fragment; its transport is then not looked at.
    pub is_fragment: bool,
    /// The TCP header's numbers.
    pub tcp: Option<Segment>,
    /// SCTP's verification tag.
    pub tag: Option<u32>,
    /// What follows the transport header, or the IP headers where there is none.
    pub payload: Vec<u8>,
}

/// Why a frame is not a right packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A header is cut off or contradicts itself; the text says which.
    Malformed(String),
    /// Not IP.
    NotIp,
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum,
    /// The checksum of the transport header of this protocol is wrong.
    TransportChecksum(u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "malformed packet: {why}"),
            Self::NotIp => write!(f, "not an IP packet"),
            Self::Ipv4Checksum => write!(f, "wrong IPv4 header checksum"),
            Self::TransportChecksum(protocol) => {
                write!(f, "wrong checksum of protocol {protocol}")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Takes `frame` apart and verifies its lengths and checksums (IPv4 header; TCP, UDP and ICMP with
/// their pseudo headers; SCTP).
pub fn explain(frame: &[u8], link: Link) -> Result<Seen, Fault> {
    let malformed = |e: &dyn fmt::Display| Fault::Malformed(e.to_string());
    let packet = match link {
        Link::Ethernet => SlicedPacket::from_ethernet(frame).map_err(|e| malformed(&e))?,
        Link::None => SlicedPacket::from_ip(frame).map_err(|e| malformed(&e))?,
    };
    let net = packet.net.as_ref().ok_or(Fault::NotIp)?;
    let (src, dst, ttl) = addresses(net)?;
    let payload = packet.ip_payload().ok_or(Fault::NotIp)?;
    if !payload.fragmented {
        check_transport(src, dst, payload)?;
    }
    let Inside { ports, tcp, tag, bytes } = inside(packet.transport.as_ref(), payload);
    Ok(Seen {
        macs: packet.link.as_ref().and_then(macs),
        vlans: packet.vlan_ids().iter().map(|id| id.value()).collect(),
        src: (src, ports.0).into(),
        dst: (dst, ports.1).into(),
        protocol: payload.ip_number.0,
        ttl,
        is_fragment: payload.fragmented,
        tcp,
        tag,
        payload: bytes.to_vec(),
    })
}

fn addresses(net: &NetSlice<'_>) -> Result<(IpAddr, IpAddr, u8), Fault> {
    match net {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            if checksum::fold(checksum::sum(header.slice())) != !0 {
                return Err(Fault::Ipv4Checksum);
            }
            Ok((header.source_addr().into(), header.destination_addr().into(), header.ttl()))
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            Ok((header.source_addr().into(), header.destination_addr().into(), header.hop_limit()))
        }
        NetSlice::Arp(_) => Err(Fault::NotIp),
    }
}

fn check_transport(src: IpAddr, dst: IpAddr, ip: &IpPayloadSlice<'_>) -> Result<(), Fault> {
    let pseudo = pseudo_sum(src, dst, ip.ip_number.0, ip.payload.len());
    let pseudo = match ip.ip_number {
        IpNumber::TCP | IpNumber::IPV6_ICMP => pseudo,
        // IPv4 allows a UDP checksum of zero, "none"; IPv6 does not (RFC 8200, section 8.1).
        IpNumber::UDP if src.is_ipv4() && ip.payload.get(6..8) == Some(&[0, 0]) => return Ok(()),
        IpNumber::UDP => pseudo,
        IpNumber::ICMP => 0,
        IpNumber::SCTP => return check_sctp(ip.payload),
        _ => return Ok(()),
    };
    let whole = checksum::fold(checksum::sum(ip.payload) + pseudo);
    if whole == !0 { Ok(()) } else { Err(Fault::TransportChecksum(ip.ip_number.0)) }
}

fn check_sctp(packet: &[u8]) -> Result<(), Fault> {
    match packet.get(sctp::CHECKSUM) {
        None => Err(Fault::Malformed("SCTP header cut off".to_owned())),
        Some(crc) if crc == sctp::checksum(packet) => Ok(()),
        Some(_) => Err(Fault::TransportChecksum(SCTP)),
    }
}

/// What the transport header says.
struct Inside<'a> {
    ports: (u16, u16),
    tcp: Option<Segment>,
    tag: Option<u32>,
    bytes: &'a [u8],
}

fn inside<'a>(transport: Option<&TransportSlice<'a>>, ip: &IpPayloadSlice<'a>) -> Inside<'a> {
    let unknown = Inside { ports: (0, 0), tcp: None, tag: None, bytes: ip.payload };
    match transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let (seq, ack) = (tcp.sequence_number(), tcp.acknowledgment_number());
            let segment = Segment { seq, ack, flags: tcp.header_slice()[13] };
            let ports = (tcp.source_port(), tcp.destination_port());
            Inside { ports, tcp: Some(segment), bytes: tcp.payload(), ..unknown }
        }
        Some(TransportSlice::Udp(udp)) => {
            let ports = (udp.source_port(), udp.destination_port());
            Inside { ports, bytes: udp.payload(), ..unknown }
        }
        _ if ip.ip_number == IpNumber::SCTP && !ip.fragmented => match Common::of(ip.payload) {
            Some(Common { sport, dport, tag }) => Inside {
                ports: (sport, dport),
                tag: Some(tag),
                bytes: &ip.payload[sctp::HEADER..],
                ..unknown
            },
            None => unknown,
        },
        _ => unknown,
    }
}

fn macs(link: &LinkSlice<'_>) -> Option<([u8; 6], [u8; 6])> {
    match link {
        LinkSlice::Ethernet2(header) => Some((header.source(), header.destination())),
        _ => None,
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} protocol {}", self.src, self.dst, self.protocol)?;
        if let Some(tcp) = self.tcp {
            let set = [("S", flags::SYN), ("A", flags::ACK), ("F", flags::FIN), ("R", flags::RST)]
                .map(|(name, bit)| if tcp.flags & bit != 0 { name } else { "" });
            write!(f, " [{}]", set.concat())?;
        }
        write!(f, ", {} bytes", self.payload.len())
    }
}

#[cfg(test)]
mod tests;
