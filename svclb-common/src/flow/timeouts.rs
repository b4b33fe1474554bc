//! When silence ends a flow.

use super::State;
use crate::{
    plain_data,
    tuple::{SCTP, TCP},
};

/// After how many seconds of silence a flow expires, by protocol and state.
///
/// The defaults are those that a node with kube-proxy has: the Linux connection tracking's own
/// (net/netfilter/nf_conntrack_proto_{tcp,udp}.c), and for established and half-closed TCP what
/// kube-proxy sets in their place (24 h and 1 h: `conntrack.tcpEstablishedTimeout` and
/// `tcpCloseWaitTimeout`). Connection tracking's other states of a TCP connection that ends are not
/// told apart, and get the longest of their time-outs. SCTP's are those of Linux 6.6
/// (`nf_conntrack_sctp_timeout_` cookie_wait, established, shutdown_sent, closed).
#[repr(C)]
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

const _: () = assert!(size_of::<Timeouts>() == 44);
plain_data!(Timeouts);

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

    #[inline(always)]
    pub(super) fn nanoseconds(&self, protocol: u8, state: State) -> u64 {
        let seconds = match (protocol, state) {
            (TCP, State::Opening) => self.tcp_opening,
            (TCP, State::Answered) => self.tcp_answered,
            (TCP, State::Established) => self.tcp_established,
            (TCP, State::Closing) => self.tcp_closing,
            (TCP, State::Closed) => self.tcp_closed,
            (SCTP, State::Opening | State::Answered) => self.sctp_opening,
            (SCTP, State::Established) => self.sctp_established,
            (SCTP, State::Closing) => self.sctp_closing,
            (SCTP, State::Closed) => self.sctp_closed,
            (_, State::Opening | State::Answered) => self.udp_opening,
            _ => self.udp_established,
        };
        u64::from(seconds) * 1_000_000_000
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}
