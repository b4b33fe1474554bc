//! When silence ends a flow.

use super::State;
use crate::{plain_data, tuple::TCP};

/// After how many seconds of silence a flow expires, by protocol and state.
///
/// The defaults are those of the Linux connection tracking that kube-proxy configures
/// (`nf_conntrack_*_timeout`, and kube-proxy's own 24 h and 1 h for TCP).
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
}

const _: () = assert!(size_of::<Timeouts>() == 24);
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
    };

    #[inline(always)]
    pub(super) fn nanoseconds(&self, protocol: u8, state: State) -> u64 {
        let tcp = protocol == TCP;
        let seconds = match state {
            State::Opening if tcp => self.tcp_opening,
            State::Opening => self.udp_opening,
            State::Established if tcp => self.tcp_established,
            State::Established => self.udp_established,
            State::Closing => self.tcp_closing,
            State::Closed => self.tcp_closed,
        };
        u64::from(seconds) * 1_000_000_000
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}
