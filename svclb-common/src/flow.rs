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

use crate::{
    address::{Address, V4, V6},
    plain_data,
    tuple::{TCP, Tuple, side},
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
    /// TCP flags seen from the client, and [`SEEN`].
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
    /// One side of a TCP connection has finished.
    Closing,
    /// Both sides have finished, or one has reset: its tuples may be taken at once.
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
        if self.protocol == TCP {
            if (self.from_client | self.from_backend) & tcp::RST != 0
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

/// What one direction of a flow has seen, after one more packet with `tcp_flags` (0 for UDP).
///
/// A packet without RST after one with RST takes the reset back: the sender goes on, so the reset
/// was forged or stale. (Netfilter compares sequence numbers to the same end.)
#[inline(always)]
pub fn advance(seen: u8, tcp_flags: u8) -> u8 {
    let kept = if tcp_flags & tcp::RST != 0 { seen } else { seen & !tcp::RST };
    kept | SEEN | (tcp_flags & (tcp::FIN | tcp::SYN | tcp::RST))
}

/// Whether a TCP segment starts a connection.
#[inline(always)]
pub fn is_opening_segment(tcp_flags: u8) -> bool {
    tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN
}

/// After how many seconds of silence a flow expires, by protocol and state.
///
/// The defaults are those of the Linux connection tracking that kube-proxy configures
/// (`nf_conntrack_*_timeout`, and kube-proxy's own 24 h and 1 h for TCP).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP without a reply.
    pub tcp_opening: u32,
    /// TCP with traffic in both directions.
    pub tcp_established: u32,
    /// TCP with one side finished.
    pub tcp_closing: u32,
    /// TCP with both sides finished, or reset.
    pub tcp_closed: u32,
    /// UDP without a reply.
    pub udp_opening: u32,
    /// UDP with replies.
    pub udp_established: u32,
}

const _: () = assert!(size_of::<Timeouts>() == 24);
plain_data!(Timeouts);

impl Timeouts {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        tcp_opening: 60,
        tcp_established: 86_400,
        tcp_closing: 3_600,
        tcp_closed: 120,
        udp_opening: 30,
        udp_established: 120,
    };

    #[inline(always)]
    fn nanoseconds(&self, protocol: u8, state: State) -> u64 {
        let tcp = protocol == TCP;
        let seconds = match state {
            State::Opening if tcp => self.tcp_opening,
            State::Opening => self.udp_opening,
            State::Established if tcp => self.tcp_established,
            State::Established => self.udp_established,
            State::Closing => self.tcp_closing,
            State::Closed => self.tcp_closed,
        };
        u64::from(seconds) * 1_000_000_000
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::UDP;

    const SECOND: u64 = 1_000_000_000;

    fn ip(last: u8) -> V4 {
        V4 { ip: [192, 0, 2, last] }
    }

    fn facts(protocol: u8) -> Facts {
        Facts {
            last_seen_ns: 100 * SECOND,
            service: 1,
            backend_id: 1,
            ifindex: 1,
            masq_port: 10_240,
            mac: [0; 6],
            protocol,
            flags: 0,
            from_client: SEEN | tcp::SYN,
            from_backend: 0,
        }
    }

    fn flow(protocol: u8) -> Flow<V4> {
        Flow {
            lock: 2,
            facts: facts(protocol),
            client: ip(1),
            frontend: ip(2),
            backend: ip(3),
            masq: ip(4),
            client_port: 40_000,
            frontend_port: 80,
            backend_port: 8080,
            between_port: 40_001,
        }
    }

    #[test]
    fn a_flow_rewrites_each_of_its_tuples() {
        let f = flow(TCP);
        let received = f.received();
        assert_eq!(f.role_received(&received), Some(Role::Request));
        let between = f.rewritten(Role::Request);
        assert_eq!((between.src, between.sport), (ip(1), 40_001));
        assert_eq!((between.dst, between.dport), (ip(3), 8080));
        assert_eq!(f.role_between(&between), Some(Role::RequestOut));
        let sent = f.rewritten(Role::RequestOut);
        assert_eq!((sent.src, sent.sport, sent.dst, sent.dport), (ip(4), 10_240, ip(3), 8080));

        let reply = Tuple { side: side::RECEIVED, ..sent.reversed() };
        assert_eq!(reply, f.returned());
        assert_eq!(f.role_received(&reply), Some(Role::Return));
        let back = f.rewritten(Role::Return);
        assert_eq!(back, between.reversed());
        assert_eq!(f.role_between(&back), Some(Role::Reply));
        let answer = f.rewritten(Role::Reply);
        assert_eq!(Tuple { side: side::RECEIVED, ..answer }, received.reversed());
    }

    #[test]
    fn without_masquerade_the_client_is_kept() {
        let f = Flow { facts: Facts { masq_port: 0, ..facts(UDP) }, ..flow(UDP) };
        assert_eq!(f.rewritten(Role::RequestOut), f.between());
        assert_eq!(f.role_received(&f.returned()), None);
    }

    #[test]
    fn equal_ports_on_both_sides_keep_their_direction() {
        let f = Flow { between_port: 53, backend_port: 53, ..flow(UDP) };
        assert_eq!(f.role_between(&f.between()), Some(Role::RequestOut));
        assert_eq!(f.role_between(&f.between().reversed()), Some(Role::Reply));
    }

    #[test]
    fn a_hairpin_keeps_its_direction() {
        let f = Flow { backend: ip(1), ..flow(TCP) };
        assert_eq!(f.role_between(&f.between()), Some(Role::RequestOut));
        assert_eq!(f.role_between(&f.between().reversed()), Some(Role::Reply));
    }

    #[test]
    fn a_foreign_tuple_has_no_role() {
        let f = flow(TCP);
        let base = f.received();
        for other in [
            Tuple { src: ip(9), ..base },
            Tuple { dst: ip(9), ..base },
            Tuple { sport: 1, ..base },
            Tuple { dport: 1, ..base },
            Tuple { protocol: UDP, ..base },
        ] {
            assert_eq!(f.role_received(&other), None, "{other:?}");
        }
        let base = f.between();
        for other in [
            Tuple { src: ip(9), ..base },
            Tuple { dst: ip(9), ..base },
            Tuple { sport: 1, ..base },
            Tuple { dport: 1, ..base },
            Tuple { protocol: UDP, ..base },
        ] {
            assert_eq!(f.role_between(&other), None, "{other:?}");
        }
    }

    #[test]
    fn tcp_states_follow_the_flags() {
        let mut f = facts(TCP);
        assert_eq!(f.state(), State::Opening);
        f.from_backend = advance(0, tcp::SYN | tcp::ACK);
        assert_eq!(f.state(), State::Established);
        f.from_backend = advance(f.from_backend, tcp::FIN | tcp::ACK);
        assert_eq!(f.state(), State::Closing);
        f.from_client = advance(f.from_client, tcp::FIN | tcp::ACK);
        assert_eq!(f.state(), State::Closed);
    }

    #[test]
    fn a_reset_closes_until_its_sender_goes_on() {
        let mut f = facts(TCP);
        f.from_backend = advance(SEEN, tcp::RST);
        assert_eq!(f.state(), State::Closed);
        f.from_backend = advance(f.from_backend, tcp::ACK);
        assert_eq!(f.state(), State::Established);
    }

    #[test]
    fn time_outs_depend_on_protocol_and_state() {
        let t = Timeouts::DEFAULT;
        let mut f = facts(UDP);
        assert!(!f.expired(130 * SECOND, &t));
        assert!(f.expired(131 * SECOND, &t));
        f.from_backend = advance(0, 0);
        assert!(!f.expired(220 * SECOND, &t));
        assert!(f.expired(221 * SECOND, &t));
        assert!(!f.expired(0, &t), "a clock that is behind is not an age");
    }

    #[test]
    fn an_established_flow_is_never_recycled() {
        let (t, now) = (Timeouts::DEFAULT, 110 * SECOND);
        let free = Facts { protocol: 0, ..facts(TCP) };
        let opening = facts(TCP);
        let older = Facts { last_seen_ns: 99 * SECOND, ..opening };
        let closed = Facts { from_backend: SEEN | tcp::RST, ..opening };
        let established = Facts { from_backend: SEEN, ..opening };
        let score = |f: &Facts| f.recyclable(now, &t);
        assert!(score(&free) > score(&closed));
        assert!(score(&closed) > score(&older));
        assert!(score(&older) > score(&opening));
        assert!(score(&opening).is_some());
        assert_eq!(score(&established), None);
        assert!(score(&free).is_some_and(Facts::is_free_score));
        assert!(!score(&closed).is_some_and(Facts::is_free_score));
    }

    #[test]
    fn only_a_bare_syn_opens() {
        assert!(is_opening_segment(tcp::SYN));
        for flags in [0, tcp::ACK, tcp::SYN | tcp::ACK, tcp::SYN | tcp::FIN, tcp::SYN | tcp::RST] {
            assert!(!is_opening_segment(flags), "{flags:02x}");
        }
    }
}
