//! Whether a frame is what an ICMP error must have become: every byte, and every checksum added up.

use std::net::IpAddr;

use super::frame::{ETHERNET, folded, octets, sum};
use crate::model::{About, Protocol, Report, Tuple};

/// Says what is wrong with `out`, which must be the error `frame` from `from` about `about`.
pub(super) fn fault(
    frame: &[u8],
    report: &Report,
    from: IpAddr,
    about: Tuple,
    out: &[u8],
) -> Option<String> {
    let Ok(Some(quoted)) = report.about else { return Some("it quotes nothing".to_owned()) };
    if out.len() != frame.len() {
        return Some(format!("{} bytes became {}", frame.len(), out.len()));
    }
    let mut expected = frame.to_vec();
    write_addresses(&mut expected, ETHERNET, from, about.src.ip());
    write_addresses(&mut expected, quoted.network, about.src.ip(), about.dst.ip());
    let ports = [about.src.port().to_be_bytes(), about.dst.port().to_be_bytes()].concat();
    expected[quoted.transport..quoted.transport + 4].copy_from_slice(&ports);
    // Checksums are judged by what they say.
    for at in checksums(frame, report, &quoted) {
        expected[at..at + 2].copy_from_slice(&out[at..at + 2]);
    }
    if let Some(at) = (0..out.len()).find(|at| expected[*at] != out[*at]) {
        return Some(format!("byte {at} is {:#04x}, not {:#04x}", out[at], expected[at]));
    }
    let (was, is) = (sums(frame, report, &quoted), sums(out, report, &quoted));
    (was != is).then(|| format!("IP, ICMP, quoted IP and transport: {is:x?}, not {was:x?}"))
}

/// Where the first address is in a network header.
fn first(v4: bool) -> usize {
    if v4 { 12 } else { 8 }
}

fn write_addresses(frame: &mut [u8], network: usize, src: IpAddr, dst: IpAddr) {
    let both = [octets(src), octets(dst)].concat();
    let at = network + first(src.is_ipv4());
    frame[at..at + both.len()].copy_from_slice(&both);
}

/// Where the quoted transport's checksum is, if it has one that is quoted.
fn transport_checksum(frame: &[u8], quoted: &About) -> Option<usize> {
    let (at, tcp) = match quoted.tuple.protocol {
        Protocol::Tcp => (quoted.transport + 16, true),
        Protocol::Udp => (quoted.transport + 6, false),
        // Over what is not quoted as well.
        Protocol::Sctp => return None,
    };
    let is_there = at + 2 <= quoted.end && (tcp || frame[at..at + 2] != [0, 0]);
    is_there.then_some(at)
}

fn checksums(frame: &[u8], report: &Report, quoted: &About) -> Vec<usize> {
    let headers = [ETHERNET + 10, quoted.network + 10];
    let headers = headers.into_iter().filter(|_| report.to.is_ipv4());
    headers.chain([report.message + 2]).chain(transport_checksum(frame, quoted)).collect()
}

/// What must not change: an IPv4 header's sum, the message's with its pseudo header, and of the
/// quote the header's sum and that of all of the transport's checksum that a rewrite touches.
fn sums(frame: &[u8], report: &Report, quoted: &About) -> [u64; 4] {
    let v4 = report.to.is_ipv4();
    let header = |from: usize, to: usize| if v4 { folded(sum(&frame[from..to])) } else { 0 };
    let at = ETHERNET + first(false);
    let outer = if v4 { 0 } else { sum(&frame[at..at + 32]) };
    let ends = [quoted.network + first(v4), quoted.transport];
    let len = if v4 { 8 } else { 32 };
    let [addresses, ports] = ends;
    let transport = transport_checksum(frame, quoted).map_or(0, |at| {
        sum(&frame[addresses..addresses + len])
            + sum(&frame[ports..ports + 4])
            + sum(&frame[at..at + 2])
    });
    [
        header(ETHERNET, report.message),
        folded(outer + sum(&frame[report.message..quoted.end])),
        header(quoted.network, quoted.transport),
        folded(transport),
    ]
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{model::report, packet::Packet};

    const ENDS: [[&str; 4]; 2] = [
        ["192.0.2.1:40000", "10.96.0.1:80", "10.244.1.1:8080", "198.51.100.1:1"],
        ["[2001:db8::1]:40000", "[fd00::1]:80", "[fd00::2]:8080", "[2001:db8:1::1]:1"],
    ];

    #[test]
    fn only_a_right_translation_has_no_fault() {
        for ends in ENDS {
            let [client, asked, endpoint, router] = ends.map(|end| end.parse().expect("an end"));
            let build = |dst: SocketAddr| {
                let quote = Packet::udp(client, dst).payload(b"odd").build();
                let kind = if client.is_ipv4() { 3 } else { 1 };
                Packet::icmp(router.ip(), client.ip(), kind, 0).payload(&quote).ethernet().build()
            };
            let (frame, right) = (build(endpoint), build(asked));
            let report = report(&frame).expect("an error");
            let about = Tuple::new(Protocol::Udp, client, asked);
            let fault = |out: &[u8]| fault(&frame, &report, router.ip(), about, out);
            assert_eq!(fault(&right), None);
            for at in 0..right.len() {
                let mut wrong = right.clone();
                wrong[at] ^= 1;
                assert!(fault(&wrong).is_some(), "byte {at}");
            }
            assert!(fault(&right[1..]).is_some());
        }
    }
}
