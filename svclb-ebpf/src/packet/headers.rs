//! The headers as they lie in a packet. Numbers are in network order here, and only here.

use svclb_common::address::{V4, V6};

/// IPv4 (RFC 791, section 3.1), without options.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub tos: u8,
    pub total_len: u16,
    pub id: u16,
    pub fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub src: V4,
    pub dst: V4,
}

/// IPv6 (RFC 8200, section 3).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Ipv6 {
    pub version_class_flow: [u8; 4],
    pub payload_len: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub src: V6,
    pub dst: V6,
}

/// The first bytes of an IPv6 extension header (RFC 8200, section 4).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Extension {
    pub next_header: u8,
    /// In units of 8 bytes, the first 8 not counted.
    pub len: u8,
    /// Routing header: type and segments left.
    pub data: [u8; 2],
}

/// IPv6's fragment header (RFC 8200, section 4.5).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Fragment {
    pub next_header: u8,
    pub reserved: u8,
    pub offset_flags: u16,
    pub id: u32,
}

/// TCP (RFC 9293, section 3.1), without options.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Tcp {
    pub sport: u16,
    pub dport: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub data_offset: u8,
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
    pub urgent: u16,
}

/// UDP (RFC 768).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Udp {
    pub sport: u16,
    pub dport: u16,
    pub len: u16,
    pub checksum: u16,
}

/// SCTP's common header and that of the first chunk (RFC 9260, sections 3.1 and 3.2).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Sctp {
    pub sport: u16,
    pub dport: u16,
    pub tag: u32,
    pub checksum: u32,
    pub chunk: u8,
    pub chunk_flags: u8,
    pub chunk_len: u16,
}

/// ICMP and ICMPv6 (RFC 792; RFC 4443, section 2.1).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    pub rest: [u8; 4],
}

const _: () = {
    assert!(size_of::<Ipv4>() == 20 && size_of::<Ipv6>() == 40 && size_of::<Extension>() == 4);
    assert!(size_of::<Fragment>() == 8);
    assert!(size_of::<Tcp>() == 20 && size_of::<Udp>() == 8);
    assert!(size_of::<Sctp>() == 16 && size_of::<Icmp>() == 8);
};
