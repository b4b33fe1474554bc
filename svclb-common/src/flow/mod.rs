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
//! carries against the record ([`Flow::role_received`], [`Flow::role_between`]), so a stale pointer is
//! a miss, never a wrong packet.

mod fate;
mod state;
mod timeouts;

#[cfg(test)]
mod tests;

pub use fate::{Endpoint, Fate};
pub use state::State;
pub use timeouts::{TimeoutTable, Timeouts};

use crate::{
    address::{Address, V4, V6},
    plain_data,
    tuple::{Tuple, side},
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

/// Set in [`Facts::from_client`] and [`Facts::from_backend`] once any packet went that way.
pub const SEEN: u8 = 0x80;
/// Set in [`Facts::from_client`] once the client has gone on after an answer: a TCP segment that
/// acknowledges and is no SYN, any other packet. Whoever sends in another's name never hears the
/// answer, so that floods stay without it.
pub const CONFIRMED: u8 = 0x40;

/// Bits of [`Facts::flags`].
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

/// What a flow record knows besides its addresses. The same for both families. The default is that of
/// a free record.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
    /// TCP flags seen from the client, [`SEEN`] and [`CONFIRMED`].
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

/// Whether a TCP segment starts a connection.
#[inline(always)]
pub fn is_opening_segment(tcp_flags: u8) -> bool {
    tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN
}
