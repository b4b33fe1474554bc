//! The key of the flow index: who talks to whom, as one hook sees it.

use crate::{
    address::{Address, V4, V6},
    plain_data,
};

/// IANA protocol number of TCP.
pub const TCP: u8 = 6;
/// IANA protocol number of UDP.
pub const UDP: u8 = 17;
/// IANA protocol number of SCTP.
pub const SCTP: u8 = 132;

/// Where a tuple is seen: a tuple means different things before and after the ingress hook.
pub mod side {
    /// As received: at a device's ingress hook, before svclb touched the packet.
    pub const RECEIVED: u8 = 1;
    /// Between the hooks: routed, filtered and tracked by the kernel, seen at egress. Stored in
    /// canonical order, so one key serves both directions.
    pub const BETWEEN: u8 = 2;
}

/// A transport connection as one hook sees it. Key of `tuples4`/`tuples6` and `direct4`/`direct6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuple<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// Source port, host order.
    pub sport: u16,
    /// Destination port, host order.
    pub dport: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// One of [`side`].
    pub side: u8,
    /// Always zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<Tuple<V4>>() == 16 && size_of::<Tuple<V6>>() == 40);
plain_data!(Tuple<V4>, Tuple<V6>);

impl<A: Address> Tuple<A> {
    /// A tuple as received at an ingress hook.
    #[inline(always)]
    pub fn received(protocol: u8, src: A, sport: u16, dst: A, dport: u16) -> Self {
        Self { src, dst, sport, dport, protocol, side: side::RECEIVED, pad: [0; 2] }
    }

    /// The other direction of the same connection.
    #[inline(always)]
    pub fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..*self }
    }

    /// Writes the key of this tuple between the hooks: the same for both directions.
    ///
    /// In place and branch by branch: as a value, the choice would be a copy too many for the
    /// kernel programs' stack.
    #[inline(always)]
    pub fn write_between(&self, key: &mut Self) {
        let (src, dst, sport, dport) = if self.src_is_higher() {
            (&self.dst, &self.src, self.dport, self.sport)
        } else {
            (&self.src, &self.dst, self.sport, self.dport)
        };
        (key.src, key.dst, key.sport, key.dport) = (*src, *dst, sport, dport);
        (key.protocol, key.side, key.pad) = (self.protocol, side::BETWEEN, [0; 2]);
    }

    /// The key of this tuple between the hooks.
    pub fn between(&self) -> Self {
        let mut key = *self;
        self.write_between(&mut key);
        key
    }

    /// Whether both ends are the same address and port: such a connection has no direction.
    #[inline(always)]
    pub fn is_self(&self) -> bool {
        self.src == self.dst && self.sport == self.dport
    }

    #[inline(always)]
    fn src_is_higher(&self) -> bool {
        if self.sport != self.dport {
            return self.sport > self.dport;
        }
        let mut i = 0;
        while i < A::WORDS {
            let (src, dst) = (self.src.word(i), self.dst.word(i));
            if src != dst {
                return src > dst;
            }
            i += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(last: u8) -> V6 {
        let mut address = V6::ANY;
        address.ip[15] = last;
        address
    }

    #[test]
    fn both_directions_share_one_key_between_the_hooks() {
        for (sport, dport, src, dst) in
            [(40000, 80, 1, 2), (80, 80, 1, 2), (80, 80, 2, 1), (1, 2, 7, 7)]
        {
            let tuple = Tuple::received(TCP, v6(src), sport, v6(dst), dport);
            assert_eq!(tuple.between(), tuple.reversed().between());
            assert_eq!(tuple.between().side, side::BETWEEN);
        }
    }

    #[test]
    fn a_key_between_the_hooks_differs_from_the_received_one() {
        let tuple = Tuple::received(UDP, v6(1), 1, v6(2), 2);
        assert_ne!(tuple, tuple.between());
    }

    #[test]
    fn a_connection_to_itself_is_seen() {
        assert!(Tuple::received(TCP, v6(1), 80, v6(1), 80).is_self());
        assert!(!Tuple::received(TCP, v6(1), 81, v6(1), 80).is_self());
        assert!(!Tuple::received(TCP, v6(2), 80, v6(1), 80).is_self());
    }
}
