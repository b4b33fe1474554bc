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
    let (mut protocol, mut offset) = (network[6], FIXED);
    let (mut walked, mut part) = (0, None);
    while matches!(protocol, 0 | 43 | 44 | 60) {
        if offset > FAR {
            return Err(Passed::Extensions);
        }
        let header = network.get(offset..offset + 4).ok_or(Passed::Truncated)?;
        if let Some(place) = place(protocol, header) {
            let bytes = network.get(offset + 4..offset + 8).ok_or(Passed::Truncated)?;
            offset += 8;
            if part.is_some() || end < offset {
                return Err(Passed::Malformed);
            }
            let id = bytes.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
            let (at, more, len) = (place & !7, place & 1 != 0, end - offset);
            part = Some(Part { id, protocol: None, offset: at, len, more });
            if at > 0 {
                return Ok(Behind { protocol: header[0], offset, end, part });
            }
        } else {
            offset += length(protocol, header)?;
        }
        protocol = header[0];
        walked += 1;
        if walked > MOST {
            return Err(Passed::Extensions);
        }
    }
    Ok(Behind { protocol, offset, end, part })
}

/// Offset and "more" of the header of a fragment. Only the reserved bits of a whole packet's are set
/// (RFC 6946).
fn place(protocol: u8, header: &[u8]) -> Option<usize> {
    let place = number(header, 2)? & !6;
    (protocol == 44 && place != 0).then_some(place)
}

/// The length of an extension header, if what is behind it may be rewritten.
fn length(protocol: u8, header: &[u8]) -> Result<usize, Passed> {
    match (protocol, header[3]) {
        (44, _) => Ok(8),
        // With segments left, the destination is not the final one.
        (43, left) if left != 0 => Err(Passed::Extensions),
        _ => Ok((usize::from(header[1]) + 1) * 8),
    }
}
