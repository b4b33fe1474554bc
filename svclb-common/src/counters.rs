//! Values of the per-CPU counters.

use crate::plain_data;

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
    /// Records in use when the last sweep passed.
    pub flows: u64,
    /// Those of them without a reply.
    pub opening: u64,
    /// Records that the last sweep freed.
    pub expired: u64,
    /// `CLOCK_MONOTONIC` nanoseconds when the last sweep ended.
    pub at_ns: u64,
}

plain_data!(Occupancy);
