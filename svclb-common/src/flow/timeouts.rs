//! When silence ends a flow.

use super::State;
use crate::{
    branchless::entry,
    plain_data,
    tuple::{SCTP, TCP, UDP},
};

/// After how many seconds of silence a flow expires, by protocol and state.
///
/// The defaults are those that a node with kube-proxy has: the Linux connection tracking's own
/// (net/netfilter/nf_conntrack_proto_{tcp,udp}.c), and for established and half-closed TCP what
/// kube-proxy sets in their place (24 h and 1 h: `conntrack.tcpEstablishedTimeout` and
/// `tcpCloseWaitTimeout`). Connection tracking's other states of a TCP connection that ends are not
/// told apart, and get the longest of their time-outs. SCTP's are those of Linux 6.6
/// (`nf_conntrack_sctp_timeout_` cookie_wait, established, shutdown_sent, closed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP without an answer: SYN_SENT.
    pub tcp_opening: u32,
    /// TCP half open: SYN_RECV.
    pub tcp_answered: u32,
    /// TCP whose client has acknowledged the answer: ESTABLISHED.
    pub tcp_established: u32,
    /// TCP with one side finished: FIN_WAIT, CLOSE_WAIT.
    pub tcp_closing: u32,
    /// TCP with both sides finished, or reset: LAST_ACK, TIME_WAIT, CLOSE. (Not CLOSE's 10 seconds:
    /// a forged reset is told by its sender's going on, which takes time.)
    pub tcp_closed: u32,
    /// UDP until its client has gone on after an answer.
    pub udp_opening: u32,
    /// UDP from then on: a stream.
    pub udp_established: u32,
    /// SCTP until the client has confirmed the answer with its cookie.
    pub sctp_opening: u32,
    /// SCTP once it has; heartbeats count.
    pub sctp_established: u32,
    /// SCTP with one side shutting down.
    pub sctp_closing: u32,
    /// SCTP shut down by both sides, or aborted.
    pub sctp_closed: u32,
}

impl Timeouts {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        tcp_opening: 120,
        tcp_answered: 60,
        tcp_established: 86_400,
        tcp_closing: 3_600,
        tcp_closed: 120,
        udp_opening: 30,
        udp_established: 120,
        sctp_opening: 3,
        sctp_established: 210,
        sctp_closing: 3,
        sctp_closed: 10,
    };

    /// The same as the kernel programs look it up.
    pub fn table(&self) -> TimeoutTable {
        let mut table = TimeoutTable { seconds: [0; ROWS * COLUMNS] };
        let mut write = |protocol, seconds: [u32; State::ALL.len()]| {
            for (state, seconds) in State::ALL.into_iter().zip(seconds) {
                table.seconds[place(protocol, state as u8)] = seconds;
            }
        };
        let Self { tcp_opening, tcp_answered, tcp_established, tcp_closing, tcp_closed, .. } =
            *self;
        write(TCP, [tcp_opening, tcp_answered, tcp_established, tcp_closing, tcp_closed]);
        let Self { udp_opening, udp_established, .. } = *self;
        let stream = udp_established;
        write(UDP, [udp_opening, udp_opening, stream, stream, stream]);
        let Self { sctp_opening, sctp_established, sctp_closing, sctp_closed, .. } = *self;
        write(SCTP, [sctp_opening, sctp_opening, sctp_established, sctp_closing, sctp_closed]);
        table
    }
}

const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// [`Timeouts`], to be looked up without a branch: the kernel's verifier follows each of them to the
/// end of the program.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeoutTable {
    /// Seconds: a row of 8 for each protocol, in it a column for each [`State`].
    seconds: [u32; ROWS * COLUMNS],
}

const _: () = assert!(size_of::<TimeoutTable>() == 128);
plain_data!(TimeoutTable);

impl TimeoutTable {
    /// All zero: everything expires at once. (The agent sets it before it loads the programs.)
    pub const ZERO: Self = Self { seconds: [0; ROWS * COLUMNS] };

    #[inline(always)]
    pub(super) fn nanoseconds(&self, protocol: u8, state: u8) -> u64 {
        u64::from(entry(&self.seconds, place(protocol, state))) * 1_000_000_000
    }
}

/// Where a protocol's time-out in a state is. TCP is 6, UDP 17, SCTP 132: a bit tells each apart.
#[inline(always)]
fn place(protocol: u8, state: u8) -> usize {
    let row = usize::from(protocol >> 4 & 1) | usize::from(protocol >> 7) << 1;
    row * COLUMNS + usize::from(state) % COLUMNS
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}
