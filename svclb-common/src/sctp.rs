//! SCTP's chunks (RFC 9260, section 3.2), as far as they begin and end an association.

use crate::flow::tcp;

/// Chunk types.
pub mod chunk {
    /// Opens an association.
    pub const INIT: u8 = 1;
    /// Answers [`INIT`].
    pub const INIT_ACK: u8 = 2;
    /// Ends an association at once.
    pub const ABORT: u8 = 6;
    /// The sender has no more data.
    pub const SHUTDOWN: u8 = 7;
    /// Answers [`SHUTDOWN`]: neither has the peer.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// Reports an error; one of a stale cookie is the end of an attempt to associate.
    pub const ERROR: u8 = 9;
    /// Confirms an association.
    pub const COOKIE_ACK: u8 = 11;
    /// Answers [`SHUTDOWN_ACK`], and is the last packet.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// Flag of an ABORT or SHUTDOWN COMPLETE whose verification tag is that of the packet it answers (RFC 9260, sections
/// 3.3.7 and 3.3.13): the sender knows no other.
pub const TAG_REFLECTED: u8 = 0x01;

/// What a packet's first chunk means for its flow, in terms of TCP's flags ([`tcp`]), so that both
/// protocols have the same states.
///
/// An ABORT behind other chunks is not seen; the flow then ends by its time-out.
#[inline(always)]
pub fn as_flags(first_chunk: u8) -> u8 {
    match first_chunk {
        chunk::INIT => tcp::SYN,
        chunk::INIT_ACK => tcp::SYN | tcp::ACK,
        chunk::ABORT => tcp::RST,
        chunk::SHUTDOWN | chunk::SHUTDOWN_ACK | chunk::SHUTDOWN_COMPLETE => tcp::FIN | tcp::ACK,
        _ => tcp::ACK,
    }
}

/// In place of a chunk: nothing. (It is the number of DATA, which never answers.)
pub const NO_ANSWER: u8 = 0;

/// The chunk that a host answers a packet of no association with (RFC 9260, section 8.4), or
/// [`NO_ANSWER`].
#[inline(always)]
pub fn out_of_the_blue(first_chunk: u8) -> u8 {
    match first_chunk {
        chunk::ABORT | chunk::SHUTDOWN_COMPLETE | chunk::ERROR | chunk::COOKIE_ACK => NO_ANSWER,
        chunk::SHUTDOWN_ACK => chunk::SHUTDOWN_COMPLETE,
        _ => chunk::ABORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::{Facts, State, is_opening_segment},
        tuple::SCTP,
    };

    #[test]
    fn only_init_opens_an_association() {
        let opening: Vec<u8> =
            (0..=u8::MAX).filter(|kind| is_opening_segment(as_flags(*kind))).collect();
        assert_eq!(opening, [chunk::INIT]);
    }

    /// The chunks of an association's life, sent by the client (true) or the backend.
    #[test]
    fn an_association_passes_through_the_states_of_a_flow() {
        const COOKIE_ECHO: u8 = 10;
        const DATA: u8 = 0;
        let mut flow = Facts { protocol: SCTP, ..Facts::default() };
        for (from_client, kind, state) in [
            (true, chunk::INIT, State::Opening),
            (false, chunk::INIT_ACK, State::Answered),
            (true, COOKIE_ECHO, State::Established),
            (false, DATA, State::Established),
            (true, chunk::SHUTDOWN, State::Closing),
            (false, chunk::SHUTDOWN_ACK, State::Closed),
            (true, chunk::SHUTDOWN_COMPLETE, State::Closed),
        ] {
            if from_client {
                flow.from_client = flow.after_client(as_flags(kind));
            } else {
                flow.from_backend = flow.after_backend(as_flags(kind));
            }
            assert_eq!(flow.state(), state, "after chunk {kind}");
        }
        (flow.from_client, flow.from_backend) = (0, 0);
        flow.from_backend = flow.after_backend(as_flags(DATA));
        flow.from_client = flow.after_client(as_flags(chunk::ABORT));
        assert_eq!(flow.state(), State::Closed, "after an ABORT");
    }
}
