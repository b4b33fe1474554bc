//! IPv6 and its extension headers.

use super::{
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
    let (protocol, offset) = walk(network, Fragments::None)?;
    Ok(Behind { protocol, offset, end })
}

/// The fragments that are walked over, besides whole packets that say they are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fragments {
    /// None.
    None,
    /// Those that have the transport header.
    First,
}

/// Protocol and offset of the transport header, behind a whole fixed header.
pub(super) fn walk(network: &[u8], fragments: Fragments) -> Result<(u8, usize), Passed> {
    let (mut protocol, mut offset) = (network[6], FIXED);
    let mut walked = 0;
    while matches!(protocol, 0 | 43 | 44 | 60) {
        if offset > FAR {
            return Err(Passed::Extensions);
        }
        let header = network.get(offset..offset + 4).ok_or(Passed::Truncated)?;
        offset += length(protocol, header, fragments)?;
        protocol = header[0];
        walked += 1;
        if walked > MOST {
            return Err(Passed::Extensions);
        }
    }
    Ok((protocol, offset))
}

/// The length of an extension header, if what is behind it may be rewritten.
fn length(protocol: u8, header: &[u8], fragments: Fragments) -> Result<usize, Passed> {
    match (protocol, header[2], header[3]) {
        (44, 0, 1..8) if fragments == Fragments::First => Ok(8),
        // Only the reserved bits are set: a whole packet (RFC 6946).
        (44, 0, bits) if bits & !6 == 0 => Ok(8),
        (44, ..) => Err(Passed::Fragment),
        // With segments left, the destination is not the final one.
        (43, _, left) if left != 0 => Err(Passed::Extensions),
        _ => Ok((usize::from(header[1]) + 1) * 8),
    }
}
