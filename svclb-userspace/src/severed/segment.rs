//! The segments that make an end of a severed connection speak. Pure.

use std::net::{IpAddr, SocketAddr};

use svclb_common::{
    address::{Address, V4, V6},
    checksum::{fold, pseudo_header, sum},
    flow::tcp,
    tuple::TCP,
};

use crate::flow_table::FlowRecord;

/// Half of the space of sequence numbers: of two numbers so far apart, one is old to whoever looks.
const HALF: u32 = 1 << 31;
/// Sequence and acknowledgement numbers, so that those of one segment are both old.
///
/// An end answers a segment outside its window with what it expects next (RFC 9293, section
/// 3.10.7.4). One that is old in both numbers also passes the connection tracking on its way there,
/// as a segment that was delayed.
const NUMBERS: [(u32, u32); 4] = [(0, 0), (0, HALF), (HALF, 0), (HALF, HALF)];

/// Length of a TCP header without options.
const TCP_HEADER: usize = 20;
/// How many hops the segments may go.
const HOPS: u8 = 64;

/// Who is told what by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
    sequence: u32,
    acknowledgement: u32,
}

/// The segments for the ends of a severed connection that have not been told, in the name of the
/// other end.
pub(super) fn probes(flow: &FlowRecord) -> impl Iterator<Item = Segment> {
    let client = flow.masquerade.unwrap_or((flow.client.ip(), flow.between_port).into());
    let facts = &flow.facts;
    let ends = [
        (facts.from_backend, flow.frontend, flow.client),
        (facts.from_client, client, flow.backend),
    ];
    let untold = ends.into_iter().filter(|(seen, ..)| seen & tcp::RST == 0);
    untold.flat_map(|(_, src, dst)| {
        NUMBERS.map(|(sequence, acknowledgement)| Segment { src, dst, sequence, acknowledgement })
    })
}

impl Segment {
    /// The packet, from its IP header on; `None` between two families.
    pub(super) fn packet(&self) -> Option<Vec<u8>> {
        match (self.src.ip(), self.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let (src, dst) = (V4::from(src), V4::from(dst));
                Some([&ipv4(src, dst)[..], &self.tcp(src, dst)].concat())
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (src, dst) = (V6::from(src), V6::from(dst));
                Some([&ipv6(src, dst)[..], &self.tcp(src, dst)].concat())
            }
            _ => None,
        }
    }

    /// An acknowledgement without data.
    fn tcp<A: Address>(&self, src: A, dst: A) -> [u8; TCP_HEADER] {
        let mut header = [0; TCP_HEADER];
        header[0..2].copy_from_slice(&self.src.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.dst.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        header[8..12].copy_from_slice(&self.acknowledgement.to_be_bytes());
        header[12] = (TCP_HEADER as u8 / 4) << 4;
        header[13] = tcp::ACK;
        let pseudo = pseudo_header(&src, &dst, TCP, TCP_HEADER as u16);
        let checksum = !fold(sum(&header) + pseudo);
        header[16..18].copy_from_slice(&checksum.to_ne_bytes());
        header
    }
}

/// A header whose checksum the kernel fills in (`raw(7)`).
fn ipv4(src: V4, dst: V4) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + TCP_HEADER as u16).to_be_bytes());
    (header[8], header[9]) = (HOPS, TCP);
    header[12..16].copy_from_slice(&src.ip);
    header[16..20].copy_from_slice(&dst.ip);
    header
}

fn ipv6(src: V6, dst: V6) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(TCP_HEADER as u16).to_be_bytes());
    (header[6], header[7]) = (TCP, HOPS);
    header[8..24].copy_from_slice(&src.ip);
    header[24..40].copy_from_slice(&dst.ip);
    header
}

#[cfg(test)]
mod tests {
    use svclb_common::flow::{Facts, SEEN};

    use super::*;

    fn flow(masquerade: Option<&str>) -> FlowRecord {
        let at = |text: &str| text.parse().expect("an address");
        FlowRecord {
            client: at("198.51.100.7:40000"),
            frontend: at("192.0.2.1:30080"),
            backend: at("10.244.2.1:8080"),
            masquerade: masquerade.map(at),
            between_port: 40_001,
            facts: Facts {
                protocol: TCP,
                from_client: SEEN,
                from_backend: SEEN,
                ..Facts::default()
            },
        }
    }

    fn ends(flow: &FlowRecord) -> Vec<String> {
        let mut ends: Vec<_> =
            probes(flow).map(|probe| format!("{} {}", probe.src, probe.dst)).collect();
        ends.dedup();
        ends
    }

    #[test]
    fn each_end_hears_from_the_one_that_it_knows() {
        let to_client = "192.0.2.1:30080 198.51.100.7:40000";
        assert_eq!(ends(&flow(None)), [to_client, "198.51.100.7:40001 10.244.2.1:8080"]);
        let masqueraded = flow(Some("192.0.2.1:10240"));
        assert_eq!(ends(&masqueraded), [to_client, "192.0.2.1:10240 10.244.2.1:8080"]);
    }

    #[test]
    fn who_has_been_told_is_left_alone() {
        let mut flow = flow(None);
        flow.facts.from_backend |= tcp::RST;
        assert_eq!(ends(&flow), ["198.51.100.7:40001 10.244.2.1:8080"]);
        flow.facts.from_client |= tcp::RST;
        assert!(ends(&flow).is_empty());
    }

    #[test]
    fn one_segment_is_old_in_both_numbers_whatever_the_end_expects() {
        let is_old = |number: u32, expected: u32| (number.wrapping_sub(expected) as i32) < 0;
        let corners = [0, 1, HALF - 1, HALF, HALF + 1, u32::MAX, 0x1234_5678];
        for (next, sent) in corners.into_iter().flat_map(|a| corners.map(|b| (a, b))) {
            let old = |(sequence, acknowledgement)| {
                is_old(sequence, next) && is_old(acknowledgement, sent)
            };
            assert!(NUMBERS.into_iter().any(old), "{next} {sent}");
        }
    }

    #[test]
    fn packets_have_right_lengths_and_checksums() {
        let probe = probes(&flow(None)).next().expect("a probe");
        let packet = probe.packet().expect("one family");
        assert_eq!((packet.len(), packet[9], packet[33]), (40, TCP, tcp::ACK));
        let [src, dst] = [12, 16].map(|at| V4 { ip: packet[at..at + 4].try_into().expect("4") });
        assert_eq!(fold(sum(&packet[20..]) + pseudo_header(&src, &dst, TCP, 20)), 0xffff);

        let at = |text: &str| text.parse().expect("an address");
        let probe = Segment { src: at("[2001:db8::1]:80"), dst: at("[2001:db8::2]:90"), ..probe };
        let packet = probe.packet().expect("one family");
        assert_eq!((packet.len(), packet[5], packet[6]), (60, 20, TCP));
        let [src, dst] = [8, 24].map(|at| V6 { ip: packet[at..at + 16].try_into().expect("16") });
        assert_eq!(fold(sum(&packet[40..]) + pseudo_header(&src, &dst, TCP, 20)), 0xffff);
        let mixed = Segment { dst: at("192.0.2.1:1"), ..probe };
        assert_eq!(mixed.packet(), None);
    }
}
