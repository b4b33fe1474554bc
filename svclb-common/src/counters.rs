//! Values of the per-CPU counters.

use crate::{flow::State, plain_data};

/// Traffic of a service (`svc_stats`) or a backend (`be_stats`), on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Flows opened.
    pub flows: u64,
    /// Packets from clients.
    pub packets: u64,
    /// Bytes from clients, from the network header on.
    pub bytes: u64,
    /// Packets to clients.
    pub reply_packets: u64,
    /// Bytes to clients, from the network header on.
    pub reply_bytes: u64,
}

plain_data!(Traffic);

impl core::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            flows: self.flows + other.flows,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            reply_packets: self.reply_packets + other.reply_packets,
            reply_bytes: self.reply_bytes + other.reply_bytes,
        }
    }
}

impl core::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::default(), |total, value| total + value)
    }
}

/// How full the flow table is, written by the sweep. Values of `occupancy`: index 0 IPv4, 1 IPv6.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Occupancy {
    /// Flows without an answer when the last sweep passed.
    pub opening: u64,
    /// Flows whose client has not gone on after the answer.
    pub answered: u64,
    /// Flows whose client has.
    pub established: u64,
    /// TCP with one side finished.
    pub closing: u64,
    /// TCP with both sides finished, or reset.
    pub closed: u64,
    /// Records that the last sweep freed.
    pub expired: u64,
    /// `CLOCK_MONOTONIC` nanoseconds when the last sweep ended.
    pub at_ns: u64,
}

plain_data!(Occupancy);

impl Occupancy {
    /// Flows in a state.
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::Opening => self.opening,
            State::Answered => self.answered,
            State::Established => self.established,
            State::Closing => self.closing,
            State::Closed => self.closed,
        }
    }

    /// Counts a flow.
    #[inline(always)]
    pub fn count(&mut self, state: State) {
        *match state {
            State::Opening => &mut self.opening,
            State::Answered => &mut self.answered,
            State::Established => &mut self.established,
            State::Closing => &mut self.closing,
            State::Closed => &mut self.closed,
        } += 1;
    }

    /// Records in use.
    pub fn flows(&self) -> u64 {
        State::ALL.iter().map(|state| self.of(*state)).sum()
    }

    /// Records in use by flows that are never cut for another's sake.
    pub fn kept(&self) -> u64 {
        self.established + self.closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_counted_by_state() {
        let mut occupancy = Occupancy::default();
        for (i, state) in State::ALL.into_iter().enumerate() {
            (0..=i).for_each(|_| occupancy.count(state));
            assert_eq!(occupancy.of(state), i as u64 + 1, "{}", state.name());
        }
        assert_eq!((occupancy.flows(), occupancy.kept()), (15, 7));
    }
}
