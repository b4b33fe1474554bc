//! Builder and `explain` against each other.

use std::net::SocketAddr;

use super::*;
use crate::packet::{Extension, Field, Packet};

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    let (src, dst) = if v6 {
        ("[2001:db8::1]:40000", "[fd00:10:96::1]:80")
    } else {
        ("192.0.2.1:40000", "10.96.0.1:80")
    };
    (src.parse().unwrap(), dst.parse().unwrap())
}

#[test]
fn what_is_built_right_is_seen_right() {
    for v6 in [false, true] {
        let (src, dst) = ends(v6);
        for payload in [&b""[..], b"odd", b"even", &[0xff; 1400]] {
            for packet in [Packet::tcp(src, dst), Packet::udp(src, dst), Packet::sctp(src, dst, 7)]
            {
                let packet = packet.payload(payload).ttl(7);
                let bare = explain(&packet.build(), Link::None).unwrap();
                assert_eq!((bare.src, bare.dst, bare.ttl), (src, dst, 7));
                assert_eq!(bare.payload, payload);
                let framed = explain(&packet.vlan(12).build(), Link::Ethernet).unwrap();
                assert_eq!((framed.dst, framed.vlans), (dst, vec![12]));
            }
        }
    }
}

#[test]
fn options_and_extensions_are_passed_over() {
    let (src, dst) = ends(false);
    let frame = Packet::tcp(src, dst)
        .ipv4_options(&[7, 7, 4, 0, 0, 0, 0])
        .tcp_options(&[2, 4, 5, 0xb4])
        .flags(flags::ACK | flags::FIN)
        .numbers(3, 4)
        .build();
    let seen = explain(&frame, Link::None).unwrap();
    assert_eq!(seen.tcp, Some(Segment { seq: 3, ack: 4, flags: flags::ACK | flags::FIN }));
    assert_eq!(seen.to_string(), "192.0.2.1:40000 -> 10.96.0.1:80 protocol 6 [AF], 0 bytes");

    let (src, dst) = ends(true);
    let frame = Packet::udp(src, dst)
        .extension(Extension::hop_by_hop(1))
        .extension(Extension::destination(40))
        .extension(Extension::routing(0))
        .extension(Extension::authentication())
        .payload(b"x")
        .build();
    assert_eq!(explain(&frame, Link::None).unwrap().dst, dst);
}

#[test]
fn each_wrong_field_is_a_fault() {
    let wrong = [
        (false, Field::Version, 6),
        (false, Field::Ipv4HeaderWords, 4),
        (false, Field::Ipv4HeaderWords, 15),
        (false, Field::Ipv4TotalLength, 10),
        (false, Field::Ipv4TotalLength, 2_000),
        (false, Field::Ipv4Checksum, 1),
        (false, Field::TcpHeaderWords, 4),
        (false, Field::TcpHeaderWords, 15),
        (false, Field::TcpChecksum, 1),
        (true, Field::Version, 4),
        (true, Field::Ipv6PayloadLength, 2_000),
        (true, Field::Ipv6PayloadLength, 10),
        (true, Field::TcpChecksum, 1),
    ];
    for (v6, field, value) in wrong {
        let (src, dst) = ends(v6);
        let frame = Packet::tcp(src, dst).payload(b"data").set(field, value).build();
        assert!(explain(&frame, Link::None).is_err(), "{field:?} = {value}");
    }
    for v6 in [false, true] {
        let (src, dst) = ends(v6);
        for value in [7, 2_000] {
            let frame = Packet::udp(src, dst).payload(b"data").set(Field::UdpLength, value).build();
            assert!(explain(&frame, Link::None).is_err(), "UDP length {value}");
        }
    }
}

#[test]
fn every_cut_of_a_frame_is_a_fault() {
    for v6 in [false, true] {
        let (src, dst) = ends(v6);
        let packet = Packet::tcp(src, dst).payload(b"data").ethernet();
        for kept in 0..packet.build().len() {
            let frame = packet.clone().truncated(kept).build();
            assert!(explain(&frame, Link::Ethernet).is_err(), "{kept} bytes");
        }
    }
}

#[test]
fn a_missing_udp_checksum_is_right_in_ipv4_only() {
    let (src, dst) = ends(false);
    assert!(explain(&Packet::udp(src, dst).no_checksum().build(), Link::None).is_ok());
    let (src, dst) = ends(true);
    let fault = explain(&Packet::udp(src, dst).no_checksum().build(), Link::None);
    assert_eq!(fault, Err(Fault::TransportChecksum(17)));
}

#[test]
fn icmp_and_unknown_protocols_have_no_ports() {
    for v6 in [false, true] {
        let (src, dst) = ends(v6);
        let echo = Packet::icmp(src.ip(), dst.ip(), if v6 { 128 } else { 8 }, 0).build();
        let seen = explain(&echo, Link::None).unwrap();
        assert_eq!((seen.dst.port(), seen.protocol), (0, if v6 { 58 } else { 1 }));
        let odd = Packet::protocol(253, src.ip(), dst.ip()).payload(b"?").build();
        assert_eq!(explain(&odd, Link::None).unwrap().payload, b"?");
    }
}

#[test]
fn fragments_put_together_are_the_datagram() {
    for v6 in [false, true] {
        let (src, dst) = ends(v6);
        let packet = Packet::udp(src, dst).payload(&[0xa5; 3_000]);
        let parts: Vec<_> =
            packet.fragments(1_003).iter().map(|part| explain(part, Link::None).unwrap()).collect();
        assert_eq!(parts.len(), 4);
        assert!(parts.iter().all(|part| part.is_fragment && part.dst.ip() == dst.ip()));
        let whole: Vec<u8> = parts.into_iter().flat_map(|part| part.payload).collect();
        assert_eq!(whole[8..], [0xa5; 3_000]);
        assert_eq!(whole.len(), 3_008);
    }
}

#[test]
fn a_wrong_crc_of_sctp_is_a_fault() {
    for (src, dst) in [ends(false), ends(true)] {
        let chunks = sctp::chunk(sctp::kind::DATA, 3, b"data");
        let frame = Packet::sctp(src, dst, 0xabcd).payload(&chunks).build();
        let seen = explain(&frame, Link::None).unwrap();
        assert_eq!((seen.src, seen.dst, seen.tag), (src, dst, Some(0xabcd)));
        let start = frame.len() - sctp::HEADER - chunks.len();
        for at in start..frame.len() {
            let mut wrong = frame.clone();
            wrong[at] ^= 1;
            assert_eq!(explain(&wrong, Link::None), Err(Fault::TransportChecksum(SCTP)), "{at}");
        }
    }
}
