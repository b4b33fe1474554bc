//! From bytes to a [`Packet`], and back.

pub mod headers;
pub mod ipv4;
pub mod ipv6;
mod rewrite;
mod sctp;
mod transport;

use svclb_common::{
    fragment::{DatagramKey, Part},
    outcome::Outcome,
    tuple::Tuple,
};

pub use rewrite::{TCP_CHECKSUM, UDP_CHECKSUM, rewrite};

use crate::{desk, error::Quoting, maps::Tables, raw::Skb};

/// EtherType of IPv4 in network order.
pub const ETHERTYPE_IPV4: u32 = 0x0800_u16.to_be() as u32;
/// EtherType of IPv6 in network order.
pub const ETHERTYPE_IPV6: u32 = 0x86dd_u16.to_be() as u32;

/// Why a packet goes no further through the programs.
#[derive(Clone, Copy)]
pub enum Stop {
    /// It is no service's business: on through the kernel as it is, uncounted.
    NotOurs,
    /// A later fragment: what says whose it is was in its datagram's first one.
    Later,
    /// This became of it.
    Because(Outcome),
}

impl From<Outcome> for Stop {
    #[inline(always)]
    fn from(outcome: Outcome) -> Self {
        Self::Because(outcome)
    }
}

/// The next step has its value, or the packet stops here.
pub type Step<T> = Result<T, Stop>;

/// A well-formed TCP, UDP or SCTP packet, a well-formed request for an echo, or an ICMP error.
pub struct Packet<A> {
    /// Who talks to whom, as received.
    pub tuple: Tuple<A>,
    /// Where the transport header begins, counted from the network header.
    pub transport: u32,
    /// Bytes from the network header on, by its own count.
    pub len: u32,
    /// TCP flags; of SCTP, what stands for them ([`svclb_common::sctp::as_flags`]); 0 for others.
    pub tcp_flags: u8,
    /// ICMP type; 0 for others.
    pub icmp_type: u8,
}

/// Where the network header says that the transport header is.
pub struct Payload {
    /// IANA protocol number.
    pub protocol: u8,
    /// Offset from the network header.
    pub offset: u32,
    /// Bytes from there on, by the network header's count.
    pub len: u32,
    /// Which part of a datagram the packet carries. The transport header is in the first.
    pub part: Part,
}

/// What the programs ask of a network header.
pub trait Network: Tables + Quoting {
    /// Length of the header without options or extensions.
    const HEADER: u32;
    /// Whether senders number the datagrams of each protocol by themselves.
    const ID_NEEDS_PROTOCOL: bool;
    /// How far a transport header may be from the network header.
    const MAX_OFFSET: u32;
    /// IANA protocol number of the family's ICMP.
    const ICMP: u8;
    /// ICMP types of an echo: request and reply.
    const ECHO: [u8; 2];
    /// ICMP type and code of "port unreachable".
    const PORT_UNREACHABLE: [u8; 2];

    /// A header without options, as it lies in a packet.
    type Header: Copy;

    /// Source and destination, if the header is there.
    fn ends(skb: &Skb) -> Option<(Self, Self)>;
    /// Checks the header and finds the transport header.
    fn payload(skb: &Skb) -> Step<Payload>;
    /// Stores the addresses of `to`, the header's own checksum included.
    fn store_addresses(skb: &mut Skb, from: &Tuple<Self>, to: &Tuple<Self>) -> Result<(), ()>;
    /// Stores the number of hops that a packet begins with, the header's own checksum included.
    fn store_hops(skb: &mut Skb) -> Result<(), ()>;
    /// The header of a packet with `len` bytes behind it.
    fn header(src: &Self, dst: &Self, protocol: u8, len: u16) -> Self::Header;
}

/// Source and destination of the packet, made linear if need be.
#[inline(always)]
pub fn ends<A: Network>(skb: &mut Skb) -> Option<(A, A)> {
    if let Some(ends) = A::ends(skb) {
        return Some(ends);
    }
    skb.pull(A::HEADER);
    A::ends(skb)
}

/// Parses a packet whose addresses may concern svclb, at a hook where tuples are of this
/// [`side`](svclb_common::tuple::side). Where it is a fragment, its place is on the desk.
#[inline(always)]
pub fn parse<A: Network>(skb: &mut Skb, side: u8) -> Step<&'static Packet<A>> {
    read::<A>(skb, side)?;
    desk::packet().ok_or(Stop::NotOurs)
}

/// Reads the headers and puts what they say on the desk. A function of its own in the kernel: the
/// verifier then follows its many paths to the end of the headers, not to the end of the program.
#[inline(never)]
fn read<A: Network>(skb: &mut Skb, side: u8) -> Step<()> {
    desk::put_part::<A>(Part::WHOLE);
    let payload = A::payload(skb)?;
    let (src, dst) = A::ends(skb).ok_or(Outcome::Truncated)?;
    if payload.part.is_part() {
        note_part(skb, &payload, src, dst, side)?;
    }
    let ports = transport::ports::<A>(skb, &payload)?;
    desk::put_packet(Packet {
        tuple: Tuple::received(payload.protocol, src, ports.src, dst, ports.dst),
        transport: payload.offset,
        len: payload.offset + payload.len,
        tcp_flags: ports.tcp_flags,
        icmp_type: ports.icmp_type,
    });
    Ok(())
}

/// Puts a fragment's place on the desk. Only the first one is read on.
#[inline(always)]
fn note_part<A: Network>(skb: &Skb, payload: &Payload, src: A, dst: A, side: u8) -> Step<()> {
    let (part, ifindex) = (payload.part, skb.ifindex());
    if !part.is_sound() {
        return Err(Outcome::Malformed.into());
    }
    let protocol = if A::ID_NEEDS_PROTOCOL { payload.protocol } else { 0 };
    desk::put_part::<A>(part);
    desk::put_datagram(DatagramKey { src, dst, id: part.id, ifindex, protocol, side, pad: [0; 2] });
    if part.offset == 0 { Ok(()) } else { Err(Stop::Later) }
}

/// How many hops packets of svclb's own may go (IANA's recommendation).
const HOPS: u8 = 64;

/// How long the packet may be by its own length field: `None` when the field contradicts the
/// packet.
///
/// The kernel writes 0 into packets it has joined beyond 64 KiB (BIG TCP); their length is the
/// buffer's.
#[inline(always)]
fn stated_length(skb: &Skb, stated: u32) -> Option<u32> {
    if stated == 0 && skb.is_joined() {
        return Some(skb.len());
    }
    (stated <= skb.len()).then_some(stated)
}
