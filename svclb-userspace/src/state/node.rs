//! What this node is to the decisions.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::Engine;
use crate::snapshot::{Endpoint, Node, ObjectKey};

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
        let pods = object.map(|node| node.pod_cidrs.as_slice()).unwrap_or_default();
        self.ledger.set_pods(pods.iter().map(IpNet::trunc).collect());
        let addresses = object.map(|node| node.addresses.as_slice()).unwrap_or_default();
        self.set_local(addresses, touched);
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
