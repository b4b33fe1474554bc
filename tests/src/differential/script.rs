//! What is done to the data path, step by step: plain values that can be printed and run again.

use std::{fmt, net::IpAddr};

use crate::{
    model::{Hook, Place, Protocol, Tables, Tuple},
    packet::{Extension, Field, Packet, sctp},
};

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// The tables are these from now on.
    Change(Box<Tables>),
    /// A hook sees a packet.
    Packet(Shot),
}

/// A packet at a hook.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Where it is seen.
    pub place: Place,
    /// Its ends.
    pub tuple: Tuple,
    /// TCP's flags, or the type of an SCTP packet's first chunk.
    pub flags: u8,
    /// What is odd about it.
    pub shape: Shape,
    /// It is not seen itself, but quoted by an error.
    pub error: Option<ErrorShape>,
}

/// An ICMP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorShape {
    /// Who says it.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// How many bytes it quotes at most.
    pub quotes: usize,
}

/// What is odd about a packet.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// UDP, SCTP: no checksum.
    NoChecksum,
    /// IPv4: options of so many words.
    Options(u8),
    /// IPv6: so many extension headers of so many units of 8 bytes.
    Extensions(u8, u8),
    /// IPv6: a fragment header of a whole packet.
    Atomic,
    /// A fragment at so many units of 8 bytes, and whether more follow.
    Fragment(u16, bool),
    /// Cut off so many bytes behind the network header.
    Truncated(u8),
    /// So many bytes follow that the network header does not count.
    Padded(u8),
    /// A field has a wrong value.
    Wrong(Field, u16),
    /// Bytes behind the Ethernet header have other values.
    Damaged(Vec<(u16, u8)>),
}

const ETHERNET: usize = 14;

impl Shot {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let packet = self.packet();
        let Some(ErrorShape { from, kind, code, quotes }) = self.error else { return packet };
        let quote = &packet[ETHERNET..];
        let quote = &quote[..quote.len().min(quotes)];
        Packet::icmp(from, self.tuple.src.ip(), kind, code).payload(quote).ethernet().build()
    }

    /// The packet's own frame.
    fn packet(&self) -> Vec<u8> {
        let Tuple { src, dst, protocol } = self.tuple;
        let packet = match protocol {
            Protocol::Tcp => Packet::tcp(src, dst).flags(self.flags),
            Protocol::Udp => Packet::udp(src, dst),
            Protocol::Sctp => Packet::sctp(src, dst, sctp::tag(self.flags)),
        };
        let payload = match protocol {
            Protocol::Sctp => sctp::chunk(self.flags, 0, b"differential"),
            // A fragment but the last is of whole units of 8 bytes.
            Protocol::Udp if matches!(self.shape, Shape::Fragment(..)) => {
                b"differential 16b".to_vec()
            }
            Protocol::Tcp | Protocol::Udp => b"differential".to_vec(),
        };
        let packet = packet.payload(&payload).ethernet();
        let network = ETHERNET + if src.is_ipv4() { 20 } else { 40 };
        match &self.shape {
            Shape::Plain => packet.build(),
            Shape::NoChecksum => packet.no_checksum().build(),
            Shape::Options(words) => packet.ipv4_options(&vec![1; usize::from(*words) * 4]).build(),
            Shape::Extensions(count, units) => {
                let one = |packet: Packet, _| packet.extension(Extension::destination(*units));
                (0..*count).fold(packet, one).build()
            }
            Shape::Atomic => packet.extension(Extension::fragment(0, false, 7)).build(),
            Shape::Fragment(units, more) => packet.fragment(units * 8, *more).build(),
            Shape::Truncated(bytes) => packet.truncated(network + usize::from(*bytes)).build(),
            Shape::Padded(bytes) => [packet.build(), vec![0; usize::from(*bytes)]].concat(),
            Shape::Wrong(field, value) => packet.set(*field, *value).build(),
            Shape::Damaged(bytes) => damaged(packet.build(), bytes),
        }
    }
}

fn damaged(mut frame: Vec<u8>, bytes: &[(u16, u8)]) -> Vec<u8> {
    let len = frame.len() - ETHERNET;
    for (at, value) in bytes {
        frame[ETHERNET + usize::from(*at) % len] = *value;
    }
    frame
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(tables) => tables_to(f, tables),
            Self::Packet(shot) => {
                let Tuple { src, dst, protocol } = shot.tuple;
                let Place { hook, device } = shot.place;
                write!(f, "{hook:?} of {device}: {protocol:?} {src} -> {dst}")?;
                write!(f, ", flags {:#04x}, {:?}", shot.flags, shot.shape)?;
                shot.error.map_or(Ok(()), |error| write!(f, ", quoted by {error:?}"))
            }
        }
    }
}

fn tables_to(f: &mut fmt::Formatter<'_>, tables: &Tables) -> fmt::Result {
    writeln!(f, "tables:")?;
    writeln!(f, "  node {:?}, masquerade {:?}", tables.node, tables.masquerade)?;
    for ((address, protocol), frontend) in &tables.frontends {
        writeln!(f, "  {address} {protocol:?}: {:?} of {}", frontend.kind, frontend.service)?;
    }
    for ((v4, port, protocol), frontend) in &tables.node_ports {
        let family = if *v4 { "IPv4" } else { "IPv6" };
        writeln!(f, "  NodePort {family} {port} {protocol:?} of {}", frontend.service)?;
    }
    for (id, service) in &tables.services {
        writeln!(f, "  service {id}: {service:?}")?;
    }
    Ok(())
}

/// Whether a packet is on its way in.
pub(super) fn is_ingress(shot: &Shot) -> bool {
    shot.place.hook == Hook::Ingress
}
