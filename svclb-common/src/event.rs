//! What the kernel programs report through the ring buffer `events`.

use crate::{
    address::{Address, V4, V6},
    plain_data,
    tuple::Tuple,
};

/// One report: something happened to a packet or a flow that an operator may ask about.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Event {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// Index of an [`crate::outcome::Outcome`].
    pub outcome: u32,
    /// The device at whose hook it happened.
    pub ifindex: u32,
    /// Source address, IPv4 in its first four bytes.
    pub src: V6,
    /// Destination address, IPv4 in its first four bytes.
    pub dst: V6,
    /// Source port, host order.
    pub sport: u16,
    /// Destination port, host order.
    pub dport: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    /// Always zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<Event>() == 56);
plain_data!(Event);

impl Event {
    /// A report about a packet that carries `tuple`.
    #[inline(always)]
    pub fn new<A: Address>(outcome: u32, at_ns: u64, ifindex: u32, tuple: &Tuple<A>) -> Self {
        Self {
            at_ns,
            outcome,
            ifindex,
            src: widen(&tuple.src),
            dst: widen(&tuple.dst),
            sport: tuple.sport,
            dport: tuple.dport,
            protocol: tuple.protocol,
            family: if A::IS_V6 { 6 } else { 4 },
            pad: [0; 2],
        }
    }

    /// Source and destination in the standard library's type.
    pub fn ends(&self) -> (core::net::SocketAddr, core::net::SocketAddr) {
        let ip = |address: V6| {
            if self.family == 6 {
                address.to_ip()
            } else {
                let [a, b, c, d, ..] = address.ip;
                V4 { ip: [a, b, c, d] }.to_ip()
            }
        };
        ((ip(self.src), self.sport).into(), (ip(self.dst), self.dport).into())
    }
}

#[inline(always)]
fn widen<A: Address>(address: &A) -> V6 {
    let (a, b) = (address.word(0).to_ne_bytes(), address.word(1).to_ne_bytes());
    let (c, d) = (address.word(2).to_ne_bytes(), address.word(3).to_ne_bytes());
    V6 {
        ip: [
            a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1],
            d[2], d[3],
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::UDP;

    #[test]
    fn an_event_gives_back_its_ends() {
        let tuple =
            Tuple::received(UDP, V4 { ip: [192, 0, 2, 1] }, 5, V4 { ip: [10, 0, 0, 1] }, 53);
        let (src, dst) = Event::new(0, 0, 1, &tuple).ends();
        assert_eq!(
            (src.to_string(), dst.to_string()),
            ("192.0.2.1:5".into(), "10.0.0.1:53".into())
        );
    }
}
