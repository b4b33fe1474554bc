//! A flow: one client's connection to a frontend, and how each of its packets is rewritten.
//!
//! A flow has three tuples in each direction:
//!
//! ```text
//!              as received              between the hooks           as sent
//! request   client -> frontend   ==>   client' -> backend   ==>   masq -> backend
//! reply     backend -> masq      ==>   backend -> client'   ==>   frontend -> client
//! ```
//!
//! `client'` is the client's address with a port of its own choosing if two flows would otherwise
//! share the tuple between the hooks. Without masquerade, `masq` is `client'`.
//!
//! The record is the truth; `tuples4`/`tuples6` only point at it. Each packet checks the tuple it
//! carries against the record ([`Flow::role`]), so a stale pointer is a miss, never a wrong packet.

mod fate;
mod timeouts;

#[cfg(test)]
mod tests;

pub use fate::{Endpoint, Fate};
pub use timeouts::Timeouts;

use crate::{
    address::{Address, V4, V6},
    plain_data,
    tuple::{Tuple, UDP, side},
};

/// TCP flag bits as in the header's thirteenth byte (RFC 9293, section 3.1).
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
}

/// Set in [`Flow::from_client`] and [`Flow::from_backend`] once any packet went that way.
pub const SEEN: u8 = 0x80;

/// Bits of [`Flow::flags`].
pub mod flags {
    /// The egress hook gives the packets an address of this node (see [`super::Flow::masq`]).
    pub const MASQUERADE: u8 = 0x01;
    /// The client sits on a bridge port: look for the backend's MAC address until it is known.
    pub const FIND_MAC: u8 = 0x02;
    /// [`super::Facts::mac`] is the backend's, on the client's own bridge.
    pub const HAVE_MAC: u8 = 0x04;
    /// A connection straight to a backend, moved to another source port because a service's flow
    /// holds its tuple.
    pub const DIRECT: u8 = 0x08;
    /// A connection from the node's own address straight to a backend (netfilter's masquerade, or a
    /// process of the node), given another source port at egress because a service's flow waits
    /// for the answers to its own.
    pub const OWN: u8 = 0x10;
    /// The endpoint was chosen from the local set.
    pub const LOCAL_SET: u8 = 0x20;
    /// The endpoint has vanished: whoever sends on the connection is reset. Once an end has been
    /// told, the other's TCP flags have a RST, as if that had sent it.
    pub const SEVERED: u8 = 0x80;
}

/// What a flow record knows besides its addresses. The same for both families.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// `CLOCK_MONOTONIC` nanoseconds of a recent packet, kept to about a second.
    pub last_seen_ns: u64,
    /// Service id (`names`); 0 for a direct flow.
    pub service: u32,
    /// Backend id (`backends4`/`backends6`); 0 for a direct flow.
    pub backend_id: u32,
    /// The device where the client's packets come in; where they go out for `OWN`.
    pub ifindex: u32,
    /// The masquerade port; 0 until the egress hook has chosen one.
    pub masq_port: u16,
    /// The backend's MAC address where `HAVE_MAC` is set.
    pub mac: [u8; 6],
    /// IANA protocol number; 0 for a free record.
    pub protocol: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// TCP flags seen from the client (SCTP's chunks as [`crate::sctp::as_flags`] tells them), and
    /// [`SEEN`].
    pub from_client: u8,
    /// TCP flags seen from the backend, and [`SEEN`].
    pub from_backend: u8,
}

/// A flow record. Value of `flows4`/`flows6`; a record whose protocol is 0 is free.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow<A> {
    /// Generation. Odd while one CPU owns the record to open, change or release it.
    pub lock: u64,
    /// What is known besides the addresses.
    pub facts: Facts,
    /// Who asked.
    pub client: A,
    /// Which address was asked.
    pub frontend: A,
    /// Who answers.
    pub backend: A,
    /// The node's address that stands for the client; unset while the masquerade port is 0.
    pub masq: A,
    /// The client's own port.
    pub client_port: u16,
    /// The port that was asked.
    pub frontend_port: u16,
    /// The port that answers.
    pub backend_port: u16,
    /// The client's port between the hooks.
    pub between_port: u16,
}

const _: () = assert!(size_of::<Facts>() == 32);
const _: () = assert!(size_of::<Flow<V4>>() == 64 && size_of::<Flow<V6>>() == 112);
plain_data!(Flow<V4>, Flow<V6>);

/// What a packet is to a flow.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The client's packet at ingress: gets the backend as its destination.
    Request = 1,
    /// The client's packet at egress: gets the masquerade address, if any.
    RequestOut = 2,
    /// The backend's answer to a masquerade address at ingress: gets the client back.
    Return = 3,
    /// The backend's answer at egress: gets the frontend as its source.
    Reply = 4,
}

impl Role {
    /// The role with the given number.
    #[inline(always)]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Request),
            2 => Some(Self::RequestOut),
            3 => Some(Self::Return),
            4 => Some(Self::Reply),
            _ => None,
        }
    }

    /// Whether the packet travels from the client to the backend.
    #[inline(always)]
    pub fn from_client(self) -> bool {
        matches!(self, Self::Request | Self::RequestOut)
    }
}

/// How far a flow has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No reply yet.
    Opening,
    /// Packets in both directions.
    Established,
    /// One side of a TCP connection or an SCTP association has finished.
    Closing,
    /// Both sides have finished, or one has reset, or the endpoint has vanished: its tuples may be
    /// taken at once.
    Closed,
}

impl State {
    /// The name that the commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

impl<A: Address> Flow<A> {
    /// What the packet `tuple`, received at an ingress hook, is to this flow.
    #[inline(always)]
    pub fn role_received(&self, tuple: &Tuple<A>) -> Option<Role> {
        if tuple.protocol != self.facts.protocol {
            return None;
        }
        if tuple.sport == self.client_port
            && tuple.dport == self.frontend_port
            && tuple.src == self.client
            && tuple.dst == self.frontend
        {
            return Some(Role::Request);
        }
        let is_return = self.facts.masq_port != 0
            && tuple.dport == self.facts.masq_port
            && tuple.sport == self.backend_port
            && tuple.src == self.backend
            && tuple.dst == self.masq;
        is_return.then_some(Role::Return)
    }

    /// What the packet `tuple`, seen between the hooks, is to this flow.
    #[inline(always)]
    pub fn role_between(&self, tuple: &Tuple<A>) -> Option<Role> {
        if tuple.protocol != self.facts.protocol {
            return None;
        }
        let (client, client_port, backend, backend_port, role) =
            if tuple.dport == self.backend_port && tuple.sport == self.between_port {
                (&tuple.src, tuple.sport, &tuple.dst, tuple.dport, Role::RequestOut)
            } else {
                (&tuple.dst, tuple.dport, &tuple.src, tuple.sport, Role::Reply)
            };
        let matches = client_port == self.between_port
            && backend_port == self.backend_port
            && *client == self.client
            && *backend == self.backend;
        if matches {
            return Some(role);
        }
        // Equal ports on both sides: the first guess cannot tell the directions apart.
        let swapped = role == Role::RequestOut
            && tuple.sport == tuple.dport
            && tuple.dst == self.client
            && tuple.src == self.backend;
        swapped.then_some(Role::Reply)
    }

    /// Writes the tuple that a packet of `role` leaves the hook with.
    ///
    /// In place and arm by arm: as a value, the choice would be a copy too many for the kernel
    /// programs' stack.
    #[inline(always)]
    pub fn rewrite(&self, role: Role, to: &mut Tuple<A>) {
        (to.protocol, to.side, to.pad) = (self.facts.protocol, side::BETWEEN, [0; 2]);
        match role {
            Role::Request => {
                (to.src, to.sport) = (self.client, self.between_port);
                (to.dst, to.dport) = (self.backend, self.backend_port);
            }
            Role::RequestOut => {
                (to.src, to.sport) = (self.masq, self.facts.masq_port);
                (to.dst, to.dport) = (self.backend, self.backend_port);
                if self.facts.masq_port == 0 {
                    (to.src, to.sport) = (self.client, self.between_port);
                }
            }
            Role::Return => {
                (to.src, to.sport) = (self.backend, self.backend_port);
                (to.dst, to.dport) = (self.client, self.between_port);
            }
            Role::Reply => {
                (to.src, to.sport) = (self.frontend, self.frontend_port);
                (to.dst, to.dport) = (self.client, self.client_port);
            }
        }
    }

    /// The tuple that a packet of `role` leaves the hook with.
    pub fn rewritten(&self, role: Role) -> Tuple<A> {
        let mut to = self.between();
        self.rewrite(role, &mut to);
        to
    }

    /// The client's packet as received. Index key.
    #[inline(always)]
    pub fn received(&self) -> Tuple<A> {
        Tuple::received(
            self.facts.protocol,
            self.client,
            self.client_port,
            self.frontend,
            self.frontend_port,
        )
    }

    /// The client's packet between the hooks, in its own direction ([`Tuple::between`] of it is
    /// the index key).
    #[inline(always)]
    pub fn between(&self) -> Tuple<A> {
        Tuple {
            side: side::BETWEEN,
            ..Tuple::received(
                self.facts.protocol,
                self.client,
                self.between_port,
                self.backend,
                self.backend_port,
            )
        }
    }

    /// The backend's answer to the masquerade address as received. Index key once `masq_port` is
    /// not 0.
    #[inline(always)]
    pub fn returned(&self) -> Tuple<A> {
        Tuple::received(
            self.facts.protocol,
            self.backend,
            self.backend_port,
            self.masq,
            self.facts.masq_port,
        )
    }
}

impl Facts {
    /// How far the flow has come.
    #[inline(always)]
    pub fn state(&self) -> State {
        if self.protocol != UDP {
            if self.is_severed()
                || (self.from_client | self.from_backend) & tcp::RST != 0
                || self.from_client & self.from_backend & tcp::FIN != 0
            {
                return State::Closed;
            }
            if (self.from_client | self.from_backend) & tcp::FIN != 0 {
                return State::Closing;
            }
        }
        if self.from_backend & SEEN == 0 { State::Opening } else { State::Established }
    }

    /// Whether the flow has been silent for longer than its state allows.
    #[inline(always)]
    pub fn expired(&self, now_ns: u64, timeouts: &Timeouts) -> bool {
        self.age_ns(now_ns) > timeouts.nanoseconds(self.protocol, self.state())
    }

    /// Nanoseconds since a recent packet; 0 if another CPU's clock is a little ahead.
    #[inline(always)]
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.last_seen_ns)
    }

    /// How readily this record is given to a new flow: the higher, the sooner; `None` is never.
    ///
    /// A free or expired record goes first, then closed flows, then flows without a reply, the
    /// oldest of each first. A flow with traffic in both directions is never cut.
    #[inline(always)]
    pub fn recyclable(&self, now_ns: u64, timeouts: &Timeouts) -> Option<u64> {
        const FREE: u64 = 1 << 63;
        const CLOSED: u64 = 1 << 62;
        if self.protocol == 0 || self.expired(now_ns, timeouts) {
            return Some(FREE);
        }
        let age = self.age_ns(now_ns) & (CLOSED - 1);
        match self.state() {
            State::Closed => Some(CLOSED | age),
            State::Opening => Some(age),
            State::Established | State::Closing => None,
        }
    }

    /// Whether `score` (of [`Flow::recyclable`]) says that nothing is lost by taking the record.
    #[inline(always)]
    pub fn is_free_score(score: u64) -> bool {
        score >> 63 != 0
    }
}

/// What one direction of a flow has seen, after one more packet with `tcp_flags` (0 for UDP; SCTP's chunks as
/// [`crate::sctp::as_flags`] tells them).
///
/// A packet without RST after one with RST takes the reset back: the sender goes on, so the reset
/// was forged or stale. (Netfilter compares sequence numbers to the same end.)
#[inline(always)]
pub fn advance(seen: u8, tcp_flags: u8) -> u8 {
    let kept = if tcp_flags & tcp::RST != 0 { seen } else { seen & !tcp::RST };
    kept | SEEN | (tcp_flags & (tcp::FIN | tcp::SYN | tcp::RST))
}

/// Whether a TCP segment starts a connection, or an SCTP packet an association.
#[inline(always)]
pub fn is_opening_segment(tcp_flags: u8) -> bool {
    tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN
}
