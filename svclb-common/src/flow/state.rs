//! How far a flow has come, and what that means for its record.

use super::{CONFIRMED, Facts, SEEN, TimeoutTable, flags, tcp};
use crate::{
    branchless::entry,
    outcome::Outcome,
    tuple::{SCTP, TCP, UDP},
};

/// How far a flow has come.
#[repr(u8)]
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

/// Numbers of the bits that say how far a flow has come.
mod sign {
    pub(super) const DATAGRAMS: u32 = 0;
    pub(super) const SEVERED: u32 = 1;
    pub(super) const RESET: u32 = 2;
    pub(super) const BOTH_FINISHED: u32 = 3;
    pub(super) const ONE_FINISHED: u32 = 4;
    pub(super) const CONFIRMED: u32 = 5;
    pub(super) const ANSWERED: u32 = 6;
    /// How many there are.
    pub(super) const ALL: u32 = 7;
}

/// Numbers of states by what says them: bits of [`sign`].
static STATES: [u8; 1 << sign::ALL] = {
    let mut states = [0; 1 << sign::ALL];
    let mut signs = 0;
    while signs < states.len() {
        states[signs] = state_of(signs) as u8;
        signs += 1;
    }
    states
};

/// Scores of records, without their age.
mod score {
    pub(super) const FREE: u64 = 1 << 63;
    pub(super) const CLOSED: u64 = 1 << 62;
    pub(super) const OPENING: u64 = 1 << 61;
    const ANSWERED: u64 = 0;
    pub(super) const NEVER: u64 = u64::MAX;
    /// By the number of the state.
    pub(super) static CLASSES: [u64; 8] =
        [OPENING, ANSWERED, NEVER, NEVER, CLOSED, NEVER, NEVER, NEVER];
}

const fn state_of(signs: usize) -> State {
    let has = [
        signs & 1 << sign::DATAGRAMS == 0,
        signs & (1 << sign::SEVERED | 1 << sign::RESET | 1 << sign::BOTH_FINISHED) != 0,
        signs & 1 << sign::ONE_FINISHED != 0,
        signs & 1 << sign::CONFIRMED != 0,
        signs & 1 << sign::ANSWERED != 0,
    ];
    match has {
        [true, true, ..] => State::Closed,
        // A FIN before it is confirmed says nothing: a flood may send one as well.
        [true, _, true, true, _] => State::Closing,
        [_, _, _, true, _] => State::Established,
        [_, _, _, false, true] => State::Answered,
        [_, _, _, false, false] => State::Opening,
    }
}

impl Facts {
    /// How far the flow has come.
    ///
    /// Looked up, because the kernel's verifier follows each branch to the end of the program.
    #[inline(always)]
    pub fn state(&self) -> State {
        match self.state_number() {
            0 => State::Opening,
            1 => State::Answered,
            2 => State::Established,
            3 => State::Closing,
            _ => State::Closed,
        }
    }

    /// The state's number in [`State::ALL`].
    #[inline(always)]
    fn state_number(&self) -> u8 {
        entry(&STATES, self.signs())
    }

    /// What says how far the flow has come: bits of [`sign`].
    #[inline(always)]
    fn signs(&self) -> usize {
        let either = self.from_client | self.from_backend;
        let both = self.from_client & self.from_backend;
        let bit = |flags: u8, flag: u8, sign: u32| {
            usize::from(flags >> flag.trailing_zeros() & 1) << sign
        };
        bit(self.protocol, UDP & !TCP & !SCTP, sign::DATAGRAMS)
            | bit(self.flags, flags::SEVERED, sign::SEVERED)
            | bit(either, tcp::RST, sign::RESET)
            | bit(both, tcp::FIN, sign::BOTH_FINISHED)
            | bit(either, tcp::FIN, sign::ONE_FINISHED)
            | bit(self.from_client, CONFIRMED, sign::CONFIRMED)
            | bit(self.from_backend, SEEN, sign::ANSWERED)
    }

    /// What the client's direction has seen after one more packet with `tcp_flags` (0 for UDP; of
    /// SCTP, what [`crate::sctp::as_flags`] says): [`Facts::from_client`] from now on.
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
    pub fn expired(&self, now_ns: u64, timeouts: &TimeoutTable) -> bool {
        self.age_ns(now_ns) > timeouts.nanoseconds(self.protocol, self.state_number())
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
    pub fn recyclable(&self, now_ns: u64, timeouts: &TimeoutTable) -> Option<u64> {
        if self.protocol == 0 || self.expired(now_ns, timeouts) {
            return Some(score::FREE);
        }
        let class = entry(&score::CLASSES, usize::from(self.state_number()));
        (class != score::NEVER).then_some(class | self.age_ns(now_ns) & (score::OPENING - 1))
    }

    /// Whether `score` (of [`Facts::recyclable`]) says that nothing is lost by taking the record.
    #[inline(always)]
    pub fn is_free_score(score: u64) -> bool {
        score >= score::FREE
    }

    /// Whether `score` (of [`Facts::recyclable`]) says that the flow is over.
    #[inline(always)]
    pub fn is_over_score(score: u64) -> bool {
        score >= score::CLOSED
    }

    /// What is counted when the flow makes room for its `score` (of [`Facts::recyclable`]).
    #[inline(always)]
    pub fn made_room(&self, score: u64) -> Outcome {
        match self.state() {
            _ if Self::is_free_score(score) => Outcome::Expired,
            State::Closed => Outcome::Reused,
            State::Answered => Outcome::AnsweredEvicted,
            _ => Outcome::Evicted,
        }
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
