//! Messages of `NETLINK_SOCK_DIAG` (`sock_diag(7)`, linux/inet_diag.h), as bytes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use nix::{errno::Errno, libc};

use super::{Connected, Question};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct inet_diag_sockid`.
const ID: usize = 48;
/// Where it is in `struct inet_diag_req_v2`.
const ID_IN_REQUEST: usize = 8;
/// Where it is in `struct inet_diag_msg`.
const ID_IN_ANSWER: usize = 4;
/// `SOCK_DIAG_BY_FAMILY`: asks for sockets, and answers.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`: closes one.
const DESTROY: u16 = 21;

/// How the kernel names one socket: its ends, device and cookie.
pub(super) type Id = [u8; ID];

/// What one message of an answer says.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// A socket.
    Socket(Connected),
    /// The end of an answer, or what became of a request.
    End(Result<(), Errno>),
}

/// Asks for the sockets that a question is about.
pub(super) fn dump(question: &Question) -> Vec<u8> {
    let mut id = [0; ID];
    id[2..4].copy_from_slice(&question.port.to_be_bytes());
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    request(BY_FAMILY, flags, question, question.states(), &id)
}

/// Asks to close a socket.
pub(super) fn destroy(question: &Question, id: &Id) -> Vec<u8> {
    request(DESTROY, libc::NLM_F_REQUEST | libc::NLM_F_ACK, question, u32::MAX, id)
}

fn request(kind: u16, flags: i32, question: &Question, states: u32, id: &Id) -> Vec<u8> {
    let length = (HEADER + ID_IN_REQUEST + ID) as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags as u16).to_ne_bytes());
    // Number and sender: one request at a time needs neither.
    bytes.extend([0; 8]);
    bytes.extend([question.family(), question.protocol.number(), 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(id);
    bytes
}

/// The messages of a datagram of the kernel's.
pub(super) fn parts(mut bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some((kind, body, rest)) = split(bytes) {
        parts.extend(part(kind, body));
        bytes = rest;
    }
    parts
}

/// The first message: its type, what is behind its header, and what follows.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn part(kind: u16, body: &[u8]) -> Option<Part> {
    let code = || body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    let end = |code: i32| Part::End(if code == 0 { Ok(()) } else { Err(Errno::from_raw(-code)) });
    match i32::from(kind) {
        libc::NLMSG_ERROR | libc::NLMSG_DONE => Some(end(code())),
        _ if kind == BY_FAMILY => socket(body).map(Part::Socket),
        _ => None,
    }
}

fn socket(body: &[u8]) -> Option<Connected> {
    let v4 = i32::from(*body.first()?) == libc::AF_INET;
    let id: Id = *body.get(ID_IN_ANSWER..)?.first_chunk()?;
    let word = |at: usize| u32::from_ne_bytes([id[at], id[at + 1], id[at + 2], id[at + 3]]);
    let octets: [u8; 16] = *id[20..].first_chunk()?;
    let ip = match v4 {
        true => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        false => Ipv6Addr::from(octets).to_canonical(),
    };
    let peer = SocketAddr::new(ip, u16::from_be_bytes([id[2], id[3]]));
    Some(Connected { peer, cookie: u64::from(word(44)) << 32 | u64::from(word(40)), id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::operation::{Family, Protocol};

    const QUESTION: Question =
        Question { family: Family::V6, protocol: Protocol::Tcp, port: 0x1234 };

    fn answer(family: i32, ip: &[u8], cookie: u64) -> Vec<u8> {
        let mut id = [0; ID];
        id[2..4].copy_from_slice(&[0x1f, 0x90]);
        id[20..20 + ip.len()].copy_from_slice(ip);
        id[40..48].copy_from_slice(&cookie.to_le_bytes());
        let mut body = vec![family as u8, 1, 0, 0];
        body.extend(id);
        body.extend([0; 20]);
        message(BY_FAMILY, &body)
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_request_is_as_long_as_it_says_and_asks_for_a_port() {
        let bytes = dump(&QUESTION);
        assert_eq!(bytes.len(), 72);
        assert_eq!(u32::from_ne_bytes(*bytes.first_chunk().unwrap()), 72);
        assert_eq!(bytes[HEADER..HEADER + 2], [10, 6]);
        assert_eq!(bytes[26..28], [0x12, 0x34], "in network order");
    }

    #[test]
    fn peers_are_read_in_both_families_and_ipv4_in_ipv6s_clothes() {
        let mut bytes = answer(libc::AF_INET, &[10, 0, 0, 1], 7 | 9 << 32);
        let mapped = "::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap().octets();
        bytes.extend(answer(libc::AF_INET6, &mapped, 8));
        bytes.extend(answer(libc::AF_INET6, &[0xfd; 16], 9));
        bytes.extend(message(libc::NLMSG_DONE as u16, &[0; 4]));
        let parts = parts(&bytes);
        let told: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::Socket(found) => format!("{} {:#x}", found.peer, found.cookie),
                Part::End(result) => format!("{result:?}"),
            })
            .collect();
        let wide = Ipv6Addr::from([0xfd; 16]);
        assert_eq!(
            told,
            [
                "10.0.0.1:8080 0x900000007",
                "10.0.0.1:8080 0x8",
                &format!("[{wide}]:8080 0x9"),
                "Ok(())"
            ]
        );
    }

    #[test]
    fn an_error_has_its_number_and_what_is_cut_off_is_nothing() {
        let refused = message(libc::NLMSG_ERROR as u16, &(-libc::EOPNOTSUPP).to_ne_bytes());
        assert_eq!(parts(&refused), [Part::End(Err(Errno::EOPNOTSUPP))]);
        assert_eq!(parts(&refused[..refused.len() - 1]), []);
        assert_eq!(parts(&[]), []);
    }
}
