//! Ranges of addresses that are no service port's.

use std::{collections::BTreeSet, mem, net::IpAddr, time::Instant};

use ipnet::IpNet;
use svclb_common::{address::V4, filter::Interest, frontend::Source};

use crate::desired::inside;

use super::{kernel::KernelState, ledger::Ledger, operation::Operation};

/// What stands in place of a service id for clients that are inside.
const PODS: u32 = Source::<V4>::PODS;

/// What stands in place of a service id for clients of whom it is known whether they are inside.
const DETECTED: u32 = Source::<V4>::DETECTED;

/// Ranges of addresses that are no service port's, without the bits of a host.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NodeRanges {
    /// Clients that are inside the cluster.
    pub inside: BTreeSet<IpNet>,
    /// Clients of whom it is known whether they are.
    pub detected: BTreeSet<IpNet>,
}

impl NodeRanges {
    /// Those that the maps hold.
    pub(super) fn of(kernel: &KernelState) -> Self {
        Self {
            inside: kernel.sources(PODS).collect(),
            detected: kernel.sources(DETECTED).collect(),
        }
    }

    /// Whether the number stands in place of a service id.
    pub(super) fn has_id(id: u32) -> bool {
        matches!(id, PODS | DETECTED)
    }
}

impl Ledger {
    /// The clients inside as they are known, and those of whom that makes it known.
    pub fn known_inside(&self) -> inside::Ranges {
        inside::by_address(self.node.inside.clone())
    }

    /// Says what they should be. Where clients are told apart, they are known before they are judged
    /// by it, and judged no longer before they are unknown.
    pub fn set_node_ranges(&mut self, ranges: NodeRanges) {
        let old = mem::replace(&mut self.node, ranges);
        let new = &self.node;
        let over = old.detected.difference(&new.detected);
        self.repairs.extend(over.map(|range| Operation::RemoveSource(DETECTED, *range)));
        let added = new.inside.difference(&old.inside);
        self.repairs.extend(added.map(|range| Operation::AddSource(PODS, *range)));
        let over = old.inside.difference(&new.inside);
        self.repairs.extend(over.map(|range| Operation::RemoveSource(PODS, *range)));
        let added = new.detected.difference(&old.detected);
        self.repairs.extend(added.map(|range| Operation::AddSource(DETECTED, *range)));
    }

    /// Takes over the ranges that ClusterIPs are given out from.
    pub(super) fn adopt_service_cidrs(&mut self, kernel: &KernelState) {
        self.service_cidrs.clone_from(&kernel.service_cidrs);
        for block in self.service_cidrs.iter().flat_map(|range| blocks(*range)) {
            self.watches.add(block, Interest::Frontend);
        }
    }

    /// Says which ranges ClusterIPs are given out from. Only when every Service's addresses are
    /// written is any other address in them nobody's. Returns
    /// whether that is new.
    pub fn set_service_cidrs(&mut self, ranges: BTreeSet<IpNet>, now: Instant) -> bool {
        let old = mem::replace(&mut self.service_cidrs, ranges);
        let new = self.service_cidrs.clone();
        for range in new.difference(&old) {
            blocks(*range).for_each(|block| self.watch(block, Interest::Frontend));
            self.repairs.push(Operation::AddServiceCidr(*range));
        }
        for range in old.difference(&new) {
            blocks(*range).for_each(|block| self.unwatch(block, Interest::Frontend, now));
            self.repairs.push(Operation::RemoveServiceCidr(*range));
        }
        old != new
    }
}

/// The first addresses of the blocks ([`Address::block`](svclb_common::address::Address::block)) that a range is in or consists of.
fn blocks(range: IpNet) -> Box<dyn Iterator<Item = IpAddr>> {
    let block = if range.network().is_ipv4() { 16 } else { 48 };
    match range.subnets(block) {
        Ok(blocks) => Box::new(blocks.map(|block| block.network())),
        Err(_) => Box::new(IpNet::new(range.network(), block).into_iter().map(|net| net.network())),
    }
}

#[cfg(test)]
mod tests {
    use svclb_common::address::{Address, V6};

    use super::*;

    #[test]
    fn blocks_are_those_that_the_programs_look_for() {
        for (range, count) in [
            ("10.96.0.0/12", 16),
            ("10.96.0.0/16", 1),
            ("10.96.128.0/20", 1),
            ("10.0.0.0/8", 256),
            ("fd00:10:96::/112", 1),
            ("fd00:10::/44", 16),
        ] {
            let range: IpNet = range.parse().expect("a range");
            let blocks: Vec<_> = blocks(range).collect();
            assert_eq!(blocks.len(), count, "{range}");
            for ip in [range.network(), range.broadcast()] {
                let block = match ip {
                    IpAddr::V4(ip) => V4::from(ip).block().to_ip(),
                    IpAddr::V6(ip) => V6::from(ip).block().to_ip(),
                };
                assert!(blocks.contains(&block), "{ip} of {range} is in {block}");
            }
        }
    }
}
