//! Whether a frame is what another one must have become: every byte, and every checksum added up in
//! full.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use crate::{
    model::{Packet, Protocol, Tuple},
    packet::sctp,
};

pub(super) const ETHERNET: usize = 14;
/// Where the checksum of an IPv4 header is.
const CHECKSUM: Range<usize> = ETHERNET + 10..ETHERNET + 12;

/// Says what is wrong with `out`, which must be `frame` (read as `packet`) between the ends of `to`.
pub(super) fn fault(frame: &[u8], packet: &Packet, to: &Tuple, out: &[u8]) -> Option<String> {
    if out.len() != frame.len() {
        return Some(format!("{} bytes became {}", frame.len(), out.len()));
    }
    let mut expected = frame.to_vec();
    write(&mut expected, packet, to);
    // Checksums are judged by what they say.
    for at in checksums(packet, frame) {
        expected[at..at + 2].copy_from_slice(&out[at..at + 2]);
    }
    if let Some(at) = (0..out.len()).find(|at| expected[*at] != out[*at]) {
        return Some(format!("byte {at} is {:#04x}, not {:#04x}", out[at], expected[at]));
    }
    header_fault(frame, packet, out).or_else(|| transport_fault(frame, packet, to, out))
}

/// Says what is wrong with `out`, which must be `frame`, a later fragment, between other addresses.
pub(super) fn readdressed_fault(
    frame: &[u8],
    src: IpAddr,
    dst: IpAddr,
    out: &[u8],
) -> Option<String> {
    let mut expected = frame.to_vec();
    let first = ETHERNET + if src.is_ipv4() { 12 } else { 8 };
    let bytes = [octets(src), octets(dst)].concat();
    expected[first..first + bytes.len()].copy_from_slice(&bytes);
    if src.is_ipv4() && out.len() == frame.len() {
        let end = ETHERNET + usize::from(frame[ETHERNET] & 15) * 4;
        let [was, is] = [frame, out].map(|bytes| folded(sum(&bytes[ETHERNET..end])));
        if was != is {
            return Some(format!("the header adds up to {is:#x}, not {was:#x}"));
        }
        expected[CHECKSUM].copy_from_slice(&out[CHECKSUM]);
    }
    (out != expected).then(|| format!("{out:02x?}, not {expected:02x?}"))
}

/// Writes the ends into a frame.
fn write(frame: &mut [u8], packet: &Packet, to: &Tuple) {
    let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
    let (src, dst) = (octets(to.src.ip()), octets(to.dst.ip()));
    let first = ETHERNET + if to.src.is_ipv4() { 12 } else { 8 };
    put(first, &src);
    put(first + src.len(), &dst);
    put(packet.transport, &to.src.port().to_be_bytes());
    put(packet.transport + 2, &to.dst.port().to_be_bytes());
}

pub(super) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Where the checksums are that a rewrite changes. A UDP checksum of zero says that there is none,
/// one of SCTP that it is still to come.
fn checksums(packet: &Packet, frame: &[u8]) -> Vec<usize> {
    let network = packet.tuple.src.is_ipv4().then_some(ETHERNET + 10);
    let at = transport_checksum(packet);
    let transport = Some(at).filter(|at| !has_none(packet, frame, *at));
    // SCTP's is twice as long.
    let rest = transport.filter(|_| packet.tuple.protocol == Protocol::Sctp).map(|at| at + 2);
    network.into_iter().chain(transport).chain(rest).collect()
}

fn transport_checksum(packet: &Packet) -> usize {
    packet.transport
        + match packet.tuple.protocol {
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
            Protocol::Sctp => 8,
        }
}

fn has_none(packet: &Packet, frame: &[u8], at: usize) -> bool {
    match packet.tuple.protocol {
        Protocol::Tcp => false,
        Protocol::Udp => frame[at..at + 2] == [0; 2],
        Protocol::Sctp => frame[at..at + 4] == [0; 4],
    }
}

/// An IPv4 header that was right must be right, and one that was wrong must be as wrong.
fn header_fault(frame: &[u8], packet: &Packet, out: &[u8]) -> Option<String> {
    let header = ETHERNET..packet.transport;
    let is = |bytes: &[u8]| folded(sum(&bytes[header.clone()]));
    let changed = packet.tuple.src.is_ipv4() && is(frame) != is(out);
    changed.then(|| format!("the IPv4 header adds up to {:#x}, not {:#x}", is(out), is(frame)))
}

/// The same for the transport's checksum, over the pseudo header and all that follows.
fn transport_fault(frame: &[u8], packet: &Packet, to: &Tuple, out: &[u8]) -> Option<String> {
    let at = transport_checksum(packet);
    if has_none(packet, frame, at) {
        return None;
    }
    if packet.tuple.protocol == Protocol::Sctp {
        return crc_fault(&frame[packet.transport..packet.end], &out[packet.transport..packet.end]);
    }
    if packet.tuple.protocol == Protocol::Udp && out[at..at + 2] == [0, 0] {
        return Some("a UDP checksum has become none".to_owned());
    }
    let is = |bytes: &[u8], ends: &Tuple| {
        folded(pseudo(ends.src) + pseudo(ends.dst) + sum(&bytes[packet.transport..]))
    };
    let (was, is) = (is(frame, &packet.tuple), is(out, to));
    (was != is).then(|| format!("the transport adds up to {is:#x}, not {was:#x}"))
}

/// SCTP's knows nothing of addresses; one that was wrong must be wrong by the same bits.
fn crc_fault(frame: &[u8], out: &[u8]) -> Option<String> {
    let error = |packet: &[u8]| {
        let (is, right) = (&packet[sctp::CHECKSUM], sctp::checksum(packet));
        std::array::from_fn::<u8, 4, _>(|i| is[i] ^ right[i])
    };
    let (was, is) = (error(frame), error(out));
    (was != is).then(|| format!("the CRC is wrong by {is:02x?}, not by {was:02x?}"))
}

/// What an address adds to the pseudo header; lengths and protocol do not change.
fn pseudo(end: SocketAddr) -> u64 {
    sum(&octets(end.ip()))
}

/// The 16-bit words of `bytes`, added up.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from);
    bytes.chunks(2).map(word).sum()
}

/// A sum in ones' complement, where zero and 0xffff are the same.
pub(super) fn folded(sum: u64) -> u64 {
    sum % 0xffff
}

#[cfg(test)]
mod tests {
    use super::fault;
    use crate::{
        model::{Tuple, read},
        packet::Packet,
    };

    const ENDS: [[&str; 3]; 2] = [
        ["192.0.2.1:40000", "10.96.0.1:80", "10.244.1.1:8080"],
        ["[2001:db8::1]:40000", "[fd00::1]:80", "[fd00::2]:8080"],
    ];

    #[test]
    fn only_a_right_rewrite_has_no_fault() {
        for ends in ENDS {
            let [client, asked, endpoint] = ends.map(|end| end.parse().expect("an address"));
            for packet in [
                |src, dst| Packet::udp(src, dst).payload(b"odd"),
                |src, dst| Packet::sctp(src, dst, 7).payload(b"\0\0\0\x06ab\0\0"),
            ] {
                let build = |dst| packet(client, dst).ethernet().build();
                let (frame, right) = (build(asked), build(endpoint));
                let packet = read(&frame).expect("a packet");
                let to = Tuple::new(packet.tuple.protocol, client, endpoint);
                assert_eq!(fault(&frame, &packet, &to, &right), None);
                for at in 0..right.len() {
                    let mut wrong = right.clone();
                    wrong[at] ^= 1;
                    assert!(fault(&frame, &packet, &to, &wrong).is_some(), "byte {at}");
                }
                assert!(fault(&frame, &packet, &to, &right[1..]).is_some());
            }
        }
    }
}
