//! IPv6 and its extension headers.

use super::{
    fragments::Part,
    headers::{Behind, number},
    verdict::Passed,
};

/// Length of the fixed header.
const FIXED: usize = 40;
/// How many extension headers are walked: as many as RFC 8200 asks for.
const MOST: usize = 7;
/// How far from the network header the last of them may begin.
const FAR: usize = 512;

/// Walks to the transport header. The frame has a whole fixed header.
pub(super) fn behind(network: &[u8]) -> Result<Behind, Passed> {
    if network[0] >> 4 != 6 {
        return Err(Passed::Malformed);
    }
    // A length of zero is a jumbogram's, which no Service is asked with.
    let end = match number(network, 4) {
        Some(0) | None => 0,
        Some(payload) => FIXED + payload,
    };
    if end > network.len() {
        return Err(Passed::Truncated);
    }
    let Walked { protocol, offset, cut } = walk(network)?;
    if end < offset {
        return Err(Passed::Malformed);
    }
    let part = |Cut { id, place, data }| Part {
        id,
        protocol: None,
        offset: place & !7,
        len: end - data,
        more: place & 1 != 0,
    };
    Ok(Behind { protocol, offset, end, part: cut.map(part) })
}

/// Where the headers of a packet lead.
pub(super) struct Walked {
    /// IANA number of the transport protocol.
    pub(super) protocol: u8,
    /// Where its header begins; of a later fragment, where its part of the datagram does.
    pub(super) offset: usize,
    /// How it was cut out of a datagram, if so.
    pub(super) cut: Option<Cut>,
}

impl Walked {
    /// Whether it has no transport header because an earlier fragment has it.
    pub(super) fn is_later(&self) -> bool {
        self.cut.is_some_and(|cut| cut.place >= 8)
    }
}

/// What the header of a fragment says.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Which datagram.
    id: u32,
    /// Offset, and "more" in the lowest bit.
    place: usize,
    /// Where the part of the datagram begins.
    data: usize,
}

/// Walks over a fixed header, which is whole, and those behind it.
pub(super) fn walk(network: &[u8]) -> Result<Walked, Passed> {
    let mut at = Walked { protocol: network[6], offset: FIXED, cut: None };
    let mut walked = 0;
    while matches!(at.protocol, 0 | 43 | 44 | 60) {
        if at.offset > FAR {
            return Err(Passed::Extensions);
        }
        let header = network.get(at.offset..at.offset + 4).ok_or(Passed::Truncated)?;
        if at.protocol == 44 {
            let id = network.get(at.offset + 4..at.offset + 8).ok_or(Passed::Truncated)?;
            at.offset += 8;
            // Only the reserved bits of a whole packet's are set (RFC 6946).
            let place = number(header, 2).unwrap_or_default() & !6;
            if place != 0 && at.cut.is_some() {
                return Err(Passed::Malformed);
            }
            if place != 0 {
                let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
                at.cut = Some(Cut { id, place, data: at.offset });
            }
        } else {
            at.offset += length(at.protocol, header)?;
        }
        at.protocol = header[0];
        if at.is_later() {
            break;
        }
        walked += 1;
        if walked > MOST {
            return Err(Passed::Extensions);
        }
    }
    Ok(at)
}

/// The length of an extension header, if what is behind it may be rewritten.
fn length(protocol: u8, header: &[u8]) -> Result<usize, Passed> {
    match (protocol, header[3]) {
        // With segments left, the destination is not the final one.
        (43, left) if left != 0 => Err(Passed::Extensions),
        _ => Ok((usize::from(header[1]) + 1) * 8),
    }
}
