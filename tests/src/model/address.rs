//! Who talks to whom.

use std::net::{IpAddr, SocketAddr};

/// A transport protocol that is balanced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A packet's ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tuple {
    /// The protocol.
    pub protocol: Protocol,
    /// Source.
    pub src: SocketAddr,
    /// Destination.
    pub dst: SocketAddr,
}

impl Tuple {
    /// A packet from `src` to `dst`.
    pub fn new(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Self {
        Self { protocol, src, dst }
    }

    /// The packet that answers this one.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, ..self }
    }

    /// The same for both directions: the lower end first.
    #[must_use]
    pub fn pair(self) -> Self {
        if self.src <= self.dst { self } else { self.reversed() }
    }
}

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Net {
    /// An address of the range.
    pub ip: IpAddr,
    /// How many leading bits all have in common.
    pub prefix: u8,
}

impl Net {
    /// Whether the address is one of the range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)) << 96,
            IpAddr::V6(ip) => u128::from(ip),
        };
        let differ = bits(self.ip) ^ bits(ip);
        self.ip.is_ipv4() == ip.is_ipv4() && differ.leading_zeros() >= u32::from(self.prefix)
    }
}
