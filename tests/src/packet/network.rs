//! IPv4 and IPv6 headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use svclb_common::checksum;

/// IANA protocol number of the IPv6 fragment header.
const FRAGMENT: u8 = 44;

/// An IPv6 extension header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// IANA protocol number of this header.
    pub protocol: u8,
    /// Its bytes; the first (the next header's number) is filled in.
    pub bytes: Vec<u8>,
}

impl Extension {
    /// A hop-by-hop header of `8 * units` bytes, padded (RFC 8200, section 4.3).
    pub fn hop_by_hop(units: u8) -> Self {
        Self { protocol: 0, bytes: padded_options(units) }
    }

    /// A destination options header of `8 * units` bytes, padded.
    pub fn destination(units: u8) -> Self {
        Self { protocol: 60, bytes: padded_options(units) }
    }

    /// A routing header of an unassigned type, without addresses. `segments_left` of 0 is the only
    /// kind that a host passes over (RFC 8200, section 4.4).
    pub fn routing(segments_left: u8) -> Self {
        Self { protocol: 43, bytes: vec![0, 0, 253, segments_left, 0, 0, 0, 0] }
    }

    /// An authentication header with a 96-bit check value of zeros; its length counts 32-bit words
    /// less two (RFC 4302).
    pub fn authentication() -> Self {
        Self { protocol: 51, bytes: [vec![0, 4, 0, 0], vec![0; 20]].concat() }
    }

    /// A fragment header; `offset` in bytes, a multiple of 8.
    pub fn fragment(offset: u16, more: bool, id: u32) -> Self {
        let [hi, lo] = (offset & !7 | u16::from(more)).to_be_bytes();
        let bytes = [vec![0, 0, hi, lo], id.to_be_bytes().to_vec()].concat();
        Self { protocol: FRAGMENT, bytes }
    }
}

fn padded_options(units: u8) -> Vec<u8> {
    let units = units.max(1);
    let mut bytes = vec![0; usize::from(units) * 8];
    bytes[1] = units - 1;
    // PadN of everything behind the two fixed bytes; one option holds at most 255 + 2.
    let mut rest = &mut bytes[2..];
    while rest.len() >= 2 {
        let step = rest.len().min(257);
        (rest[0], rest[1]) = (1, u8::try_from(step - 2).unwrap_or(255));
        rest = &mut rest[step..];
    }
    bytes
}

/// A fragment's place: offset in bytes, more to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fragment {
    pub(super) offset: u16,
    pub(super) more: bool,
}

/// Everything of the network header but the lengths and the checksum.
#[derive(Clone, Debug)]
pub(super) struct Ip {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ttl: u8,
    pub(super) traffic_class: u8,
    pub(super) dont_fragment: bool,
    pub(super) id: u32,
    pub(super) fragment: Option<Fragment>,
    pub(super) options: Vec<u8>,
    pub(super) extensions: Vec<Extension>,
}

impl Ip {
    /// # Panics
    /// If the addresses are of different families.
    pub(super) fn new(src: IpAddr, dst: IpAddr) -> Self {
        assert_eq!(src.is_ipv4(), dst.is_ipv4(), "{src} and {dst} are of different families");
        Self {
            src,
            dst,
            ttl: 64,
            traffic_class: 0,
            dont_fragment: true,
            id: 0x5ac1,
            fragment: None,
            options: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// The header for `payload` bytes of `protocol`, IPv6 extension headers included, IPv4
    /// checksum zero.
    pub(super) fn header(&self, protocol: u8, payload: usize) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4(src, dst, protocol, payload),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.v6(src, dst, protocol, payload),
            _ => unreachable!("the families were compared when the packet was made"),
        }
    }

    /// The sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    pub(super) fn pseudo_sum(&self, protocol: u8, length: usize) -> u64 {
        pseudo_sum(self.src, self.dst, protocol, length)
    }

    fn v4(&self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload: usize) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let length = 20 + options.len();
        let fragment = self.fragment.unwrap_or(Fragment { offset: 0, more: false });
        let dont = u16::from(self.dont_fragment && self.fragment.is_none()) << 14;
        let place = dont | u16::from(fragment.more) << 13 | fragment.offset >> 3;
        let mut header = vec![0x40 | (length / 4) as u8, self.traffic_class];
        header.extend(((length + payload) as u16).to_be_bytes());
        header.extend((self.id as u16).to_be_bytes());
        header.extend(place.to_be_bytes());
        header.extend([self.ttl, protocol, 0, 0]);
        header.extend(src.octets());
        header.extend(dst.octets());
        header.extend(options);
        header
    }

    fn v6(&self, src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, payload: usize) -> Vec<u8> {
        let mut chain = self.extensions.clone();
        chain.extend(self.fragment.map(|f| Extension::fragment(f.offset, f.more, self.id)));
        let numbers: Vec<u8> = chain.iter().map(|e| e.protocol).chain([protocol]).collect();
        let length: usize = chain.iter().map(|e| e.bytes.len()).sum();
        let first_word = 0x6000_0000 | u32::from(self.traffic_class) << 20;
        let mut header = first_word.to_be_bytes().to_vec();
        header.extend(((length + payload) as u16).to_be_bytes());
        header.extend([numbers[0], self.ttl]);
        header.extend(src.octets());
        header.extend(dst.octets());
        for (extension, next) in chain.iter().zip(&numbers[1..]) {
            header.push(*next);
            header.extend(extension.bytes.get(1..).unwrap_or_default());
        }
        header
    }
}

/// The sum of the pseudo header of `length` bytes of `protocol`.
pub(super) fn pseudo_sum(src: IpAddr, dst: IpAddr, protocol: u8, length: usize) -> u64 {
    let mut bytes = (length as u32).to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, protocol]);
    for address in [src, dst] {
        match address {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    checksum::sum(&bytes)
}
