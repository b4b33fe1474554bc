//! When silence ends a flow.

use super::State;
use crate::{
    plain_data,
    tuple::{SCTP, TCP},
};

/// After how many seconds of silence a flow expires, by protocol and state.
///
/// The defaults are those of the Linux connection tracking that kube-proxy configures
/// (`nf_conntrack_*_timeout`, and kube-proxy's own 24 h and 1 h for TCP). SCTP's are those of Linux 6.6
/// (`nf_conntrack_sctp_timeout_` cookie_wait, established, shutdown_sent, closed).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP without a reply.
    pub tcp_opening: u32,
    /// TCP with traffic in both directions.
    pub tcp_established: u32,
    /// TCP with one side finished.
    pub tcp_closing: u32,
    /// TCP with both sides finished, or reset.
    pub tcp_closed: u32,
    /// UDP without a reply.
    pub udp_opening: u32,
    /// UDP with replies.
    pub udp_established: u32,
    /// SCTP without a reply.
    pub sctp_opening: u32,
    /// SCTP with traffic in both directions; heartbeats count.
    pub sctp_established: u32,
    /// SCTP with one side shutting down.
    pub sctp_closing: u32,
    /// SCTP shut down by both sides, or aborted.
    pub sctp_closed: u32,
}

const _: () = assert!(size_of::<Timeouts>() == 40);
plain_data!(Timeouts);

impl Timeouts {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        tcp_opening: 60,
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
            (TCP, State::Established) => self.tcp_established,
            (TCP, State::Closing) => self.tcp_closing,
            (TCP, State::Closed) => self.tcp_closed,
            (SCTP, State::Opening) => self.sctp_opening,
            (SCTP, State::Established) => self.sctp_established,
            (SCTP, State::Closing) => self.sctp_closing,
            (SCTP, State::Closed) => self.sctp_closed,
            (_, State::Opening) => self.udp_opening,
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
