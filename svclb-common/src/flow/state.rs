//! How far a flow has come, and what that means for its record.

use super::{CONFIRMED, Facts, SEEN, Timeouts, tcp};
use crate::tuple::UDP;

/// How far a flow has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No answer yet.
    Opening,
    /// Answered, but the client has not gone on: TCP is half open, UDP was one question.
    Answered,
    /// The client has gone on after an answer.
    Established,
    /// One side of an established TCP connection has finished.
    Closing,
    /// Both sides of a TCP connection have finished, or one has reset, or its endpoint has vanished:
    /// its tuples may be taken at once.
    Closed,
}

impl State {
    /// All states, in the order of a flow's life.
    pub const ALL: [Self; 5] =
        [Self::Opening, Self::Answered, Self::Established, Self::Closing, Self::Closed];

    /// The name that commands and metrics print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Answered => "answered",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

impl Facts {
    /// How far the flow has come.
    #[inline(always)]
    pub fn state(&self) -> State {
        let either = self.from_client | self.from_backend;
        let finished = self.from_client & self.from_backend & tcp::FIN != 0;
        if self.protocol != UDP && (self.is_severed() || finished || either & tcp::RST != 0) {
            return State::Closed;
        }
        if self.from_client & CONFIRMED == 0 {
            return if self.from_backend & SEEN == 0 { State::Opening } else { State::Answered };
        }
        // A FIN before that says nothing: a flood may send one as well.
        let closing = self.protocol != UDP && either & tcp::FIN != 0;
        if closing { State::Closing } else { State::Established }
    }

    /// What the client's direction has seen after one more packet with `tcp_flags` (0 for UDP; of SCTP, what
    /// [`crate::sctp::as_flags`] says):
    /// [`Facts::from_client`] from now on.
    #[inline(always)]
    pub fn after_client(&self, tcp_flags: u8) -> u8 {
        let goes_on =
            self.protocol == UDP || tcp_flags & (tcp::SYN | tcp::RST | tcp::ACK) == tcp::ACK;
        let confirms = goes_on && self.from_backend & SEEN != 0;
        advance(self.from_client, tcp_flags) | if confirms { CONFIRMED } else { 0 }
    }

    /// What the backend's direction has seen after one more packet with `tcp_flags` (0 for UDP):
    /// [`Facts::from_backend`] from now on.
    #[inline(always)]
    pub fn after_backend(&self, tcp_flags: u8) -> u8 {
        advance(self.from_backend, tcp_flags)
    }

    /// Whether the flow has been silent for longer than its state allows.
    #[inline(always)]
    pub fn expired(&self, now_ns: u64, timeouts: &Timeouts) -> bool {
        self.age_ns(now_ns) > timeouts.nanoseconds(self.protocol, self.state())
    }

    /// Nanoseconds since a recent packet; 0 if another CPU's clock is a little ahead.
    #[inline(always)]
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.last_seen_ns)
    }

    /// How readily this record is given to a new flow: the higher, the sooner; `None` is never.
    ///
    /// A free or expired record goes first, then closed flows, then flows without an answer, then
    /// those whose client has not gone on after it, the oldest of each first. A flow that is
    /// established or closing is never cut.
    #[inline(always)]
    pub fn recyclable(&self, now_ns: u64, timeouts: &Timeouts) -> Option<u64> {
        const FREE: u64 = 1 << 63;
        const CLOSED: u64 = 1 << 62;
        const OPENING: u64 = 1 << 61;
        if self.protocol == 0 || self.expired(now_ns, timeouts) {
            return Some(FREE);
        }
        let age = self.age_ns(now_ns) & (OPENING - 1);
        match self.state() {
            State::Closed => Some(CLOSED | age),
            State::Opening => Some(OPENING | age),
            State::Answered => Some(age),
            State::Established | State::Closing => None,
        }
    }

    /// Whether `score` (of [`Facts::recyclable`]) says that nothing is lost by taking the record.
    #[inline(always)]
    pub fn is_free_score(score: u64) -> bool {
        score >> 63 != 0
    }
}

/// What one direction of a flow has seen, after one more packet with `tcp_flags` (0 for UDP).
///
/// A packet without RST after one with RST takes the reset back: the sender goes on, so the reset
/// was forged or stale. (Netfilter compares sequence numbers to the same end.)
#[inline(always)]
pub(super) fn advance(seen: u8, tcp_flags: u8) -> u8 {
    let kept = if tcp_flags & tcp::RST != 0 { seen } else { seen & !tcp::RST };
    kept | SEEN | (tcp_flags & (tcp::FIN | tcp::SYN | tcp::RST))
}
