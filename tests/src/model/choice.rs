//! Where the data path may choose.

use std::{collections::BTreeSet, net::SocketAddr, ops::RangeInclusive};

/// Source ports that may be taken.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The range to choose from.
    pub range: RangeInclusive<u16>,
    /// Ports of the range that may not be taken.
    pub except: BTreeSet<u16>,
    /// Whether the data path may find none.
    pub may_fail: bool,
}

impl Ports {
    /// Whether the port may be taken.
    pub fn allow(&self, port: u16) -> bool {
        self.range.contains(&port) && !self.except.contains(&port)
    }

    /// The lowest port that may be taken.
    pub fn first(&self) -> Option<u16> {
        self.range.clone().find(|port| self.allow(*port))
    }
}

/// Says what the data path took of what it was allowed.
pub trait Chooser {
    /// One of the endpoints, of which there is at least one.
    fn endpoint(&mut self, allowed: &[SocketAddr]) -> SocketAddr;
    /// One of the ports; `None` where there is none, or where none was found and that is allowed.
    fn port(&mut self, allowed: &Ports) -> Option<u16>;
    /// Whether the packet was recognised as the one that was masqueraded last. It may be another of
    /// the same look: only time tells.
    fn is_last_sent(&mut self) -> bool;
    /// Whether an odd packet between addresses that no table names was counted all the same: the
    /// probe may take an address for another's.
    fn is_taken_for_another(&mut self) -> bool;
    /// Whether a datagram whose first fragment has been seen was forgotten all the same: others
    /// needed its place.
    fn is_forgotten(&mut self) -> bool;
}

/// Takes the first of everything.
#[derive(Clone, Copy, Debug)]
pub struct FirstOf;

impl Chooser for FirstOf {
    fn endpoint(&mut self, allowed: &[SocketAddr]) -> SocketAddr {
        allowed[0]
    }

    fn port(&mut self, allowed: &Ports) -> Option<u16> {
        allowed.first()
    }

    fn is_last_sent(&mut self) -> bool {
        true
    }

    fn is_taken_for_another(&mut self) -> bool {
        false
    }

    fn is_forgotten(&mut self) -> bool {
        false
    }
}
