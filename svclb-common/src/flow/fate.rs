//! What becomes of a flow whose endpoint or frontend goes away.

use super::{Facts, State, TimeoutTable, flags, tcp};
use crate::tuple::{SCTP, TCP, UDP};

/// What is left of the endpoint that a flow was opened to.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// It takes new flows.
    Serving,
    /// It takes no new flows: not ready, terminating, or of a Service that is gone. Nothing says
    /// that it is not there any more.
    Leaving,
    /// Its Service is there and lists it no more.
    Vanished,
}

/// What a pass over the flow table does with a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// There is none: the record is free.
    Free,
    /// Nothing.
    Keep,
    /// Release it: it has been silent for too long.
    Expire,
    /// Release it: the client's next packet is decided anew.
    Forget,
    /// Sever it: both ends are reset as soon as they send anything.
    Sever,
    /// It is severed, and an end may not know that yet.
    Tell,
}

/// For how long an answer may be under way to a client that has just asked: longer than the
/// resolution of [`Facts::last_seen_ns`].
const IN_FLIGHT_NS: u64 = 2_000_000_000;
/// For how long after a flow was severed its ends are told. Whoever did not hear it by then is told
/// when he sends something.
const TELL_NS: u64 = 3_000_000_000;

impl Facts {
    /// What a pass over the flow table does with the flow. `endpoint`: what is left of it;
    /// `has_frontend`: whether what the client asked is still its service's.
    ///
    /// A datagram belongs to no connection that would be cut: its flow goes with its frontend, and
    /// with an endpoint that no longer serves as soon as no answer can be under way. (A client that
    /// sends meanwhile is given another endpoint at once, by its own packet.)
    #[inline(always)]
    pub fn fate(
        &self,
        endpoint: impl FnOnce() -> Endpoint,
        has_frontend: impl FnOnce() -> bool,
        timeouts: &TimeoutTable,
        now_ns: u64,
    ) -> Fate {
        match self.protocol {
            0 => Fate::Free,
            _ if self.expired(now_ns, timeouts) => Fate::Expire,
            _ if self.service == 0 => Fate::Keep,
            TCP | SCTP => self.connection_fate(endpoint, now_ns),
            UDP => {
                let idle = self.age_ns(now_ns) > IN_FLIGHT_NS;
                let over = !has_frontend() || idle && endpoint() != Endpoint::Serving;
                if over { Fate::Forget } else { Fate::Keep }
            }
            _ => Fate::Keep,
        }
    }

    #[inline(always)]
    fn connection_fate(&self, endpoint: impl FnOnce() -> Endpoint, now_ns: u64) -> Fate {
        if self.is_severed() {
            // (Nobody speaks SCTP in another's name: its ends have heartbeats to be told by.)
            let told = self.from_client & self.from_backend & tcp::RST != 0;
            return if self.protocol != TCP || told || self.age_ns(now_ns) > TELL_NS {
                Fate::Keep
            } else {
                Fate::Tell
            };
        }
        match self.state() {
            State::Closed => Fate::Keep,
            _ if endpoint() != Endpoint::Vanished => Fate::Keep,
            State::Opening => Fate::Forget,
            State::Answered | State::Established | State::Closing => Fate::Sever,
        }
    }

    /// Whether its endpoint has vanished.
    #[inline(always)]
    pub fn is_severed(&self) -> bool {
        self.flags & flags::SEVERED != 0
    }

    /// Severs it: from now on it counts as closed.
    #[inline(always)]
    pub fn sever(&mut self, now_ns: u64) {
        self.flags |= flags::SEVERED;
        self.last_seen_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{CONFIRMED, SEEN, Timeouts};

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 100 * SECOND;

    fn facts(protocol: u8, age_s: u64) -> Facts {
        Facts {
            last_seen_ns: NOW - age_s * SECOND,
            service: 1,
            backend_id: 1,
            protocol,
            from_client: SEEN | CONFIRMED,
            from_backend: SEEN,
            ..Facts::default()
        }
    }

    fn fate(facts: &Facts, endpoint: Endpoint) -> Fate {
        facts.fate(|| endpoint, || true, &Timeouts::DEFAULT.table(), NOW)
    }

    fn without_frontend(facts: &Facts) -> Fate {
        facts.fate(|| Endpoint::Serving, || false, &Timeouts::DEFAULT.table(), NOW)
    }

    #[test]
    fn silence_ends_a_flow_whatever_its_endpoint() {
        let free = Facts { protocol: 0, ..facts(TCP, 0) };
        assert_eq!(fate(&free, Endpoint::Vanished), Fate::Free);
        let silent = Facts { last_seen_ns: 0, from_client: SEEN | tcp::RST, ..facts(TCP, 0) };
        let later =
            silent.fate(|| Endpoint::Vanished, || true, &Timeouts::DEFAULT.table(), 200 * SECOND);
        assert_eq!(later, Fate::Expire);
    }

    #[test]
    fn a_connection_is_severed_only_when_its_endpoint_has_vanished() {
        let established = facts(TCP, 50);
        assert_eq!(fate(&established, Endpoint::Serving), Fate::Keep);
        assert_eq!(fate(&established, Endpoint::Leaving), Fate::Keep);
        assert_eq!(fate(&established, Endpoint::Vanished), Fate::Sever);
        assert_eq!(without_frontend(&established), Fate::Keep);
        let half = Facts { from_client: established.from_client | tcp::FIN, ..established };
        assert_eq!(fate(&half, Endpoint::Vanished), Fate::Sever);
        let answered = Facts { from_client: SEEN, ..established };
        assert_eq!(fate(&answered, Endpoint::Vanished), Fate::Sever);
        let opening = Facts { from_backend: 0, ..answered };
        assert_eq!(fate(&opening, Endpoint::Leaving), Fate::Keep);
        assert_eq!(fate(&opening, Endpoint::Vanished), Fate::Forget);
        let closed = Facts { from_backend: SEEN | tcp::RST, ..established };
        assert_eq!(fate(&closed, Endpoint::Vanished), Fate::Keep);
        let direct = Facts { service: 0, ..established };
        assert_eq!(fate(&direct, Endpoint::Vanished), Fate::Keep);
    }

    #[test]
    fn the_ends_of_a_severed_connection_are_told_for_a_while() {
        let mut severed = facts(TCP, 50);
        severed.sever(NOW - SECOND);
        assert_eq!(severed.state(), State::Closed);
        assert_eq!(fate(&severed, Endpoint::Vanished), Fate::Tell);
        let one = Facts { from_client: SEEN | tcp::RST, ..severed };
        assert_eq!(fate(&one, Endpoint::Vanished), Fate::Tell);
        let both = Facts { from_backend: SEEN | tcp::RST, ..one };
        assert_eq!(fate(&both, Endpoint::Vanished), Fate::Keep);
        severed.sever(NOW - 4 * SECOND);
        assert_eq!(fate(&severed, Endpoint::Vanished), Fate::Keep, "they had their chance");
    }

    #[test]
    fn the_ends_of_a_severed_association_are_told_when_they_speak() {
        let mut association = facts(SCTP, 50);
        assert_eq!(fate(&association, Endpoint::Vanished), Fate::Sever);
        association.sever(NOW);
        assert_eq!(fate(&association, Endpoint::Vanished), Fate::Keep);
    }

    #[test]
    fn a_udp_flow_ends_with_its_frontend_and_when_idle_with_its_endpoint() {
        for endpoint in [Endpoint::Leaving, Endpoint::Vanished] {
            assert_eq!(fate(&facts(UDP, 1), endpoint), Fate::Keep, "an answer may be under way");
            assert_eq!(fate(&facts(UDP, 3), endpoint), Fate::Forget);
        }
        assert_eq!(fate(&facts(UDP, 3), Endpoint::Serving), Fate::Keep);
        assert_eq!(without_frontend(&facts(UDP, 0)), Fate::Forget);
    }
}
