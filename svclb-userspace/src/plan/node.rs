//! Ranges of addresses that are no service port's.

use std::{collections::BTreeSet, mem};

use ipnet::IpNet;
use svclb_common::{address::V4, frontend::Source};

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
    /// Addresses that ClusterIPs are given out from.
    pub service_cidrs: BTreeSet<IpNet>,
}

impl NodeRanges {
    /// Those that the maps hold.
    pub(super) fn of(kernel: &KernelState) -> Self {
        Self {
            inside: kernel.sources(PODS).collect(),
            detected: kernel.sources(DETECTED).collect(),
            service_cidrs: kernel.service_cidrs.clone(),
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
        let added = new.service_cidrs.difference(&old.service_cidrs);
        self.repairs.extend(added.copied().map(Operation::AddServiceCidr));
        let over = old.service_cidrs.difference(&new.service_cidrs);
        self.repairs.extend(over.copied().map(Operation::RemoveServiceCidr));
    }
}
