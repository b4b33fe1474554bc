//! The two address families, behind one trait, so that every path is written once.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::plain_data;

/// An IPv4 address: the four bytes of the wire.
#[repr(C, align(4))]
#[derive(Clone, Copy, Default, Debug)]
pub struct V4 {
    /// The bytes in network order.
    pub ip: [u8; 4],
}

/// An IPv6 address: the sixteen bytes of the wire.
#[repr(C, align(4))]
#[derive(Clone, Copy, Default, Debug)]
pub struct V6 {
    /// The bytes in network order.
    pub ip: [u8; 16],
}

const _: () = assert!(size_of::<V4>() == 4 && size_of::<V6>() == 16);
plain_data!(V4, V6);

/// An address of one family, as the maps and the packet path hold it.
///
/// Comparison and hashing go through [`Address::word`]: a comparison of byte arrays would be a
/// call to `memcmp`, which a kernel program does not have.
pub trait Address: Copy + Eq + 'static {
    /// Whether this is IPv6.
    const IS_V6: bool;
    /// How many 32-bit words an address has.
    const WORDS: usize;
    /// All zero: the key of a frontend that is reached at every address of the node.
    const ANY: Self;
    /// The host's own address: 127.0.0.1 or ::1.
    const LOOPBACK: Self;

    /// The `i`-th 32-bit word, its bytes in wire order; words past the end are zero.
    fn word(&self, i: usize) -> u32;

    /// The address in the standard library's type.
    fn to_ip(self) -> IpAddr;

    /// The address, if `ip` is of this family.
    fn from_ip(ip: IpAddr) -> Option<Self>;

    /// Whether this is the all-zero address.
    #[inline(always)]
    fn is_any(&self) -> bool {
        (self.word(0) | self.word(1) | self.word(2) | self.word(3)) == 0
    }

    /// Whether only the host itself has this address: all of 127.0.0.0/8, or ::1.
    fn is_loopback(&self) -> bool;

    /// The first address of the block that this one is in, by which ranges of addresses are watched:
    /// of 2^16 addresses, or of a /48.
    fn block(&self) -> Self;

    /// Whether this is a group's address: 224.0.0.0/3, which holds the broadcast address too, or
    /// ff00::/8.
    fn is_group(&self) -> bool;

    /// Whether this may be the address of one other host, so that it can be answered.
    #[inline(always)]
    fn is_somebody(&self) -> bool {
        !self.is_any() && !self.is_loopback() && !self.is_group()
    }
}

impl V4 {
    /// An address from its four bytes in wire order.
    #[inline(always)]
    pub fn from_word(word: u32) -> Self {
        Self { ip: word.to_ne_bytes() }
    }

    #[inline(always)]
    fn raw(&self) -> u32 {
        u32::from_ne_bytes(self.ip)
    }
}

impl PartialEq for V4 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}
impl Eq for V4 {}

impl Address for V4 {
    const IS_V6: bool = false;
    const WORDS: usize = 1;
    const ANY: Self = Self { ip: [0; 4] };
    const LOOPBACK: Self = Self { ip: [127, 0, 0, 1] };

    #[inline(always)]
    fn word(&self, i: usize) -> u32 {
        if i == 0 { self.raw() } else { 0 }
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        self.ip[0] == 127
    }

    #[inline(always)]
    fn block(&self) -> Self {
        Self { ip: [self.ip[0], self.ip[1], 0, 0] }
    }

    #[inline(always)]
    fn is_group(&self) -> bool {
        self.ip[0] >= 224
    }

    fn to_ip(self) -> IpAddr {
        IpAddr::V4(self.into())
    }

    fn from_ip(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Some(ip.into()),
            IpAddr::V6(_) => None,
        }
    }
}

impl V6 {
    /// An address from its 32-bit words, their bytes in wire order.
    #[inline(always)]
    pub fn from_words(words: [u32; 4]) -> Self {
        // SAFETY: both types are sixteen bytes of plain data.
        Self { ip: unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) } }
    }

    /// An IPv4 address in IPv6's clothes.
    #[inline(always)]
    pub fn v4_mapped(address: &V4) -> Self {
        Self::from_words([0, 0, 0xffff_u32.to_be(), address.raw()])
    }

    /// Whether this is an IPv4 address in IPv6's clothes (RFC 4291, `::ffff:192.0.2.1`): what
    /// sockets of IPv6 call their peers of IPv4.
    #[inline(always)]
    pub fn is_v4_mapped(&self) -> bool {
        (self.word(0) | self.word(1)) == 0 && self.word(2) == 0xffff_u32.to_be()
    }

    /// The bytes as words. Put together from single bytes, an address would be moved byte by byte
    /// all through the kernel programs.
    #[inline(always)]
    fn words(&self) -> [u32; 4] {
        // SAFETY: both types are sixteen bytes of plain data.
        unsafe { core::mem::transmute(self.ip) }
    }
}

impl PartialEq for V6 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        (self.word(0) ^ other.word(0))
            | (self.word(1) ^ other.word(1))
            | (self.word(2) ^ other.word(2))
            | (self.word(3) ^ other.word(3))
            == 0
    }
}
impl Eq for V6 {}

impl Address for V6 {
    const IS_V6: bool = true;
    const WORDS: usize = 4;
    const ANY: Self = Self { ip: [0; 16] };
    const LOOPBACK: Self = Self { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] };

    #[inline(always)]
    fn word(&self, i: usize) -> u32 {
        let words = self.words();
        if i < words.len() { words[i] } else { 0 }
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        (self.word(0) | self.word(1) | self.word(2)) == 0 && self.word(3) == 1_u32.to_be()
    }

    #[inline(always)]
    fn block(&self) -> Self {
        const HALF: u32 = 0xffff_0000_u32.to_be();
        Self::from_words([self.word(0), self.word(1) & HALF, 0, 0])
    }

    #[inline(always)]
    fn is_group(&self) -> bool {
        self.ip[0] == 0xff
    }

    fn to_ip(self) -> IpAddr {
        IpAddr::V6(self.into())
    }

    fn from_ip(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V6(ip) => Some(ip.into()),
            IpAddr::V4(_) => None,
        }
    }
}

impl From<Ipv4Addr> for V4 {
    fn from(ip: Ipv4Addr) -> Self {
        Self { ip: ip.octets() }
    }
}

impl From<V4> for Ipv4Addr {
    fn from(address: V4) -> Self {
        address.ip.into()
    }
}

impl From<Ipv6Addr> for V6 {
    fn from(ip: Ipv6Addr) -> Self {
        Self { ip: ip.octets() }
    }
}

impl From<V6> for Ipv6Addr {
    fn from(address: V6) -> Self {
        address.ip.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_convert_both_ways() {
        let v4 = Ipv4Addr::new(192, 0, 2, 7);
        let v6: Ipv6Addr = "2001:db8::7".parse().expect("address");
        assert_eq!(V4::from(v4).to_ip(), IpAddr::V4(v4));
        assert_eq!(V6::from(v6).to_ip(), IpAddr::V6(v6));
        assert_eq!(V4::from_ip(IpAddr::V6(v6)), None);
        assert_eq!(V6::from_ip(IpAddr::V4(v4)), None);
    }

    #[test]
    fn equality_looks_at_every_byte() {
        for i in 0..16 {
            let mut other = V6::ANY;
            other.ip[i] = 1;
            assert_ne!(other, V6::ANY, "byte {i}");
            assert!(!other.is_any());
        }
        for i in 0..4 {
            let mut other = V4::ANY;
            other.ip[i] = 1;
            assert_ne!(other, V4::ANY, "byte {i}");
        }
        assert!(V4::ANY.is_any() && V6::ANY.is_any());
    }

    #[test]
    fn loopback_is_known() {
        let v4 = |ip| V4 { ip };
        assert!(v4([127, 0, 0, 1]).is_loopback() && v4([127, 255, 1, 2]).is_loopback());
        assert!(!v4([128, 0, 0, 1]).is_loopback() && !V4::ANY.is_loopback());
        assert!(V4::LOOPBACK.is_loopback() && V4::LOOPBACK == Ipv4Addr::LOCALHOST.into());
        assert!(V6::LOOPBACK.is_loopback() && V6::LOOPBACK == Ipv6Addr::LOCALHOST.into());
        let near = |text: &str| V6::from(text.parse::<Ipv6Addr>().expect("address"));
        for other in ["::", "::2", "1::1", "::1:0:1", "::1:0", "::ffff:127.0.0.1"] {
            assert!(!near(other).is_loopback(), "{other}");
        }
    }

    #[test]
    fn ipv4_is_recognised_in_ipv6() {
        let mapped: V6 = "::ffff:192.0.2.7".parse::<Ipv6Addr>().expect("address").into();
        assert!(mapped.is_v4_mapped());
        assert_eq!(V4::from_word(mapped.word(3)), Ipv4Addr::new(192, 0, 2, 7).into());
        assert_eq!(V6::v4_mapped(&V4 { ip: [192, 0, 2, 7] }), mapped);
        assert_eq!(V6::from_words([0, 1, 2, 3].map(|i| mapped.word(i))), mapped);
        for other in ["::192.0.2.7", "::fffe:192.0.2.7", "1::ffff:192.0.2.7", "::ffff:0:1:1"] {
            let other: V6 = other.parse::<Ipv6Addr>().expect("address").into();
            assert!(!other.is_v4_mapped());
        }
    }
}
