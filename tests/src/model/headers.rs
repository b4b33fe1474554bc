//! From a frame's bytes to a packet's ends.

use std::net::{IpAddr, SocketAddr};

use super::{
    address::{Protocol, Tuple},
    fragments::Part,
    ipv6,
    verdict::Passed,
};

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;
/// How far a transport header may be from the network header.
const FAR: usize = 1023;

/// TCP's flags, or what an SCTP packet's first chunk means in their terms; none for UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u8);

impl Flags {
    pub(super) fn fin(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn syn(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn rst(self) -> bool {
        self.0 & 4 != 0
    }

    pub(super) fn ack(self) -> bool {
        self.0 & 16 != 0
    }
}

/// A packet that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Its ends.
    pub tuple: Tuple,
    /// Where the transport header begins in the frame.
    pub transport: usize,
    /// Where the packet ends in the frame.
    pub end: usize,
    /// TCP's flags, or their like.
    pub flags: Flags,
}

impl Packet {
    /// Whether it shows that its sender has heard the other end.
    pub(super) fn goes_on(&self) -> bool {
        let flags = self.flags;
        self.tuple.protocol == Protocol::Udp || flags.ack() && !flags.syn() && !flags.rst()
    }

    /// Whether it may be the first of its connection.
    pub(super) fn opens(&self) -> bool {
        let (syn, others) =
            (self.flags.syn(), self.flags.ack() || self.flags.rst() || self.flags.fin());
        self.tuple.protocol == Protocol::Udp || syn && !others
    }
}

/// Why a frame is no packet of TCP, UDP or SCTP that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// Another protocol.
    Foreign,
    /// A later fragment, which has no ports.
    Later,
    /// A first fragment that ends within its transport header.
    Tiny,
    /// A first fragment of SCTP.
    SctpFragment,
    /// Odd, or broken.
    Odd(Passed),
}

/// Where a network header leads.
pub(super) struct Behind {
    /// IANA number of the transport protocol.
    pub(super) protocol: u8,
    /// Where its header begins, from the network header on.
    pub(super) offset: usize,
    /// The packet's length from the network header on, by the header's own count.
    pub(super) end: usize,
    /// Which part of a datagram it is, if that is in fragments.
    pub(super) part: Option<Part>,
}

/// Source and destination address of a frame of IPv4 or IPv6 with a whole header.
pub fn ends(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let network = frame.get(ETHERNET..)?;
    let octets = |at: usize| network.get(at..at + 4)?.try_into().ok().map(<[u8; 4]>::into);
    let wide = |at: usize| network.get(at..at + 16)?.try_into().ok().map(<[u8; 16]>::into);
    match frame.get(12..ETHERNET)? {
        [0x08, 0x00] => Some((octets(12)?, octets(16)?)),
        [0x86, 0xdd] => Some((wide(8)?, wide(24)?)),
        _ => None,
    }
}

/// Reads the headers of a frame.
///
/// # Errors
/// It is of another protocol, or odd.
pub fn read(frame: &[u8]) -> Result<Packet, Unread> {
    let (src, dst) = ends(frame).ok_or(Unread::Foreign)?;
    let (network, behind) = behind(frame).map_err(Unread::Odd)?;
    if behind.part.is_some_and(|part| part.offset > 0) {
        return Err(Unread::Later);
    }
    if behind.offset > FAR {
        return Err(Unread::Odd(Passed::Extensions));
    }
    let protocol = match behind.protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return Err(Unread::Foreign),
    };
    let (sport, dport, flags) = ports(protocol, network, &behind)?;
    Ok(Packet {
        tuple: Tuple::new(protocol, SocketAddr::new(src, sport), SocketAddr::new(dst, dport)),
        transport: ETHERNET + behind.offset,
        end: ETHERNET + behind.end,
        flags: Flags(flags),
    })
}

/// The network header and all behind it, and where it leads. The frame has [`ends`].
fn behind(frame: &[u8]) -> Result<(&[u8], Behind), Passed> {
    let network = &frame[ETHERNET..];
    let is_v4 = frame[12] == 8;
    let behind = if is_v4 { ipv4(network) } else { ipv6::behind(network) }?;
    if behind.end < behind.offset || behind.part.is_some_and(|part| !part.is_sound()) {
        return Err(Passed::Malformed);
    }
    Ok((network, behind))
}

/// Where the network header of a frame leads that carries a whole packet.
pub(super) fn whole(frame: &[u8]) -> Option<Behind> {
    let (_, behind) = behind(frame).ok()?;
    (behind.part.is_none() && behind.offset <= FAR).then_some(behind)
}

/// Which part of a datagram a frame carries, if that is in fragments and can be told.
pub(super) fn part(frame: &[u8]) -> Option<Part> {
    ends(frame)?;
    behind(frame).ok()?.1.part
}

fn ipv4(network: &[u8]) -> Result<Behind, Passed> {
    let offset = usize::from(network[0] & 15) * 4;
    if network[0] >> 4 != 4 || offset < 20 {
        return Err(Passed::Malformed);
    }
    let end = number(network, 2).ok_or(Passed::Truncated)?;
    if end > network.len() {
        return Err(Passed::Truncated);
    }
    if end < offset {
        return Err(Passed::Malformed);
    }
    let protocol = network[9];
    // Reserved and "don't fragment" say nothing.
    let place = number(network, 6).ok_or(Passed::Truncated)? & 0x3fff;
    let id = number(network, 4).ok_or(Passed::Truncated)? as u32;
    let part = Part {
        id,
        protocol: Some(protocol),
        offset: (place & 0x1fff) * 8,
        len: end - offset,
        more: place & 0x2000 != 0,
    };
    Ok(Behind { protocol, offset, end, part: (place != 0).then_some(part) })
}

/// Source port, destination port and flags.
fn ports(protocol: Protocol, network: &[u8], behind: &Behind) -> Result<(u16, u16, u8), Unread> {
    let header = network.get(behind.offset..).unwrap_or_default();
    let room = behind.end - behind.offset;
    let is_first = behind.part.is_some();
    let (least, stated) = match protocol {
        Protocol::Tcp => (20, header.get(12).map(|words| usize::from(words >> 4) * 4)),
        Protocol::Udp => (8, number(header, 4)),
        // The common header and that of a chunk.
        Protocol::Sctp => (16, Some(16)),
    };
    if is_first && protocol == Protocol::Sctp {
        return Err(Unread::SctpFragment);
    }
    if is_first && room < least {
        return Err(Unread::Tiny);
    }
    let stated = stated.filter(|_| header.len() >= least);
    let stated = stated.ok_or(Unread::Odd(Passed::Truncated))?;
    let is_header = protocol == Protocol::Tcp;
    match stated {
        _ if stated < least => return Err(Unread::Odd(Passed::Malformed)),
        _ if stated <= room => {}
        // The length of a datagram says nothing of its first fragment's.
        _ if is_first && is_header => return Err(Unread::Tiny),
        _ if is_first => {}
        _ => return Err(Unread::Odd(Passed::Malformed)),
    }
    let port = |at| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = match protocol {
        Protocol::Tcp => header[13],
        Protocol::Udp => 0,
        Protocol::Sctp => first_chunk(header).map_err(Unread::Odd)?,
    };
    Ok((port(0), port(2), flags))
}

/// What the first chunk of an SCTP packet would be as TCP's flags.
fn first_chunk(header: &[u8]) -> Result<u8, Passed> {
    let (fin, syn, rst, ack) = (1, 2, 4, 16);
    let flags = match header[12] {
        1 if header[4..8] != [0; 4] => return Err(Passed::Malformed),
        1 => syn,
        2 => syn | ack,
        6 => rst,
        7 | 8 | 14 => fin | ack,
        _ => ack,
    };
    if number(header, 14).is_none_or(|length| length < 4) {
        return Err(Passed::Malformed);
    }
    Ok(flags)
}

/// The 16-bit number at an offset.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(pair[0]) << 8 | usize::from(pair[1]))
}
