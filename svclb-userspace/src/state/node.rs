//! What this node is to the decisions.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    time::Instant,
};

use ipnet::IpNet;

use super::Engine;
use crate::{
    plan::NodeRanges,
    snapshot::{Endpoint, Node, ObjectKey},
};

impl<W> Engine<W> {
    /// Takes in what this node's object says, and adds the Services whose endpoints may be judged
    /// differently now.
    pub(super) fn set_node(&mut self, object: Option<&Node>, touched: &mut BTreeSet<ObjectKey>) {
        let zone = object.and_then(|node| node.zone.clone());
        if self.node.zone != zone {
            let hinted = |endpoint: &Endpoint| !endpoint.hints.zones.is_empty();
            self.snapshot.touch_endpoints(hinted, touched);
            self.node.zone = zone;
        }
        let addresses = object.map(|node| node.addresses.as_slice()).unwrap_or_default();
        self.set_local(addresses, touched);
    }

    /// Brings the ranges up to date that are no Service's.
    pub(super) fn set_ranges(&mut self) {
        let object = self.snapshot.node(&self.node.name);
        // Until the Node object is known, what an earlier agent has read there holds.
        let ranges = self.traffic.detection.ranges(object);
        let (inside, detected) = ranges.unwrap_or_else(|| self.ledger.known_inside());
        self.ledger.set_node_ranges(NodeRanges { inside, detected });
    }

    /// Brings the ranges up to date that ClusterIPs are given out from; whether they
    /// have changed.
    pub(super) fn set_service_cidrs(&mut self, now: Instant) -> bool {
        let listed = self.snapshot.service_cidrs();
        let ranges = listed.union(&self.traffic.service_cidrs).copied().collect();
        self.ledger.set_service_cidrs(ranges, now)
    }

    /// Sets the addresses that make an endpoint local, and let a load balancer's address ask itself:
    /// this node's own and those of its object.
    pub(super) fn set_local(&mut self, object: &[IpAddr], touched: &mut BTreeSet<ObjectKey>) {
        let local: HashSet<_> = self.own_addresses.iter().chain(object).copied().collect();
        let changed: HashSet<_> =
            local.symmetric_difference(&self.node.addresses).copied().collect();
        let moves = |endpoint: &Endpoint| changed.contains(&endpoint.address);
        self.snapshot.touch_endpoints(moves, touched);
        let listed = |range: &IpNet| changed.iter().any(|ip| range.contains(ip));
        self.snapshot.touch_sources(listed, touched);
        self.node.addresses = local;
    }
}
