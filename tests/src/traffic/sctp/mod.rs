//! An SCTP (RFC 9260) of one's own, as far as an association needs it: this needs none of the
//! kernel's, which may have none. Every checksum is verified.
//!
//! Nothing is sent again: in the lab, a packet that is lost is a failure to be seen.

mod client;
mod server;
mod socket;

pub use client::Association;
pub use server::Server;

use crate::packet::sctp::{HEADER, chunk, kind};

/// What the ends tell each other when they open an association.
const WINDOW: u32 = 65_536;
/// What a server gives its clients to return. It remembers them, so the contents do not matter.
const COOKIE: &[u8] = b"lab cookie";
/// Parameter type of a cookie.
const COOKIE_TYPE: u16 = 7;

/// An INIT or INIT ACK with the sender's tag (RFC 9260, sections 3.3.2 and 3.3.3).
fn init(kind: u8, tag: u32, parameters: &[u8]) -> Vec<u8> {
    let (streams, first) = (1_u16.to_be_bytes(), 1_u32.to_be_bytes());
    let value = [&tag.to_be_bytes()[..], &WINDOW.to_be_bytes(), &streams, &streams, &first];
    chunk(kind, 0, &[&value.concat()[..], parameters].concat())
}

/// The cookie as a parameter.
fn cookie() -> Vec<u8> {
    let length = (4 + COOKIE.len()) as u16;
    [&COOKIE_TYPE.to_be_bytes()[..], &length.to_be_bytes(), COOKIE].concat()
}

/// A DATA chunk of a whole message (section 3.3.1).
fn data(number: u32, message: &[u8]) -> Vec<u8> {
    const WHOLE: u8 = 3;
    chunk(kind::DATA, WHOLE, &[&number.to_be_bytes()[..], &[0; 8], message].concat())
}

/// A SACK of everything up to a number (section 3.3.4).
fn sack(number: u32) -> Vec<u8> {
    let value = [&number.to_be_bytes()[..], &WINDOW.to_be_bytes(), &[0; 4]].concat();
    chunk(kind::SACK, 0, &value)
}

/// The chunks of a packet: type and value.
fn chunks(packet: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    let mut found = Vec::new();
    while let [kind, _, hi, lo, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*hi, *lo]));
        let Some(value) = rest.get(4..length) else { break };
        found.push((*kind, value));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The 32-bit number at the start of a chunk's value.
fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::sctp::Common;

    #[test]
    fn chunks_are_found_behind_each_other() {
        let all = [init(kind::INIT_ACK, 7, &cookie()), data(3, b"odd"), sack(4)].concat();
        let packet = Common { sport: 1, dport: 2, tag: 3 }.packet(&all);
        let found = chunks(&packet);
        let kinds: Vec<_> = found.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [kind::INIT_ACK, kind::DATA, kind::SACK]);
        assert_eq!((number(found[0].1), &found[1].1[12..]), (Some(7), &b"odd"[..]));
        assert_eq!(chunks(&packet[..packet.len() - 1]).len(), 2, "one is cut off");
    }
}
