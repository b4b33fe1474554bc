//! The engine: takes changes of the cluster in, keeps the maps equal to it.
//!
//! ```text
//! let state = maps.read()?;                                // what an earlier agent has left
//! let mut engine = Engine::new(options, state, maps, now);
//! engine.set_node_addresses(addresses, now);               // at start, and when netlink says so
//! let outcome = engine.apply(batch.changes, now);          // for each batch of the source
//! if !engine.is_settled() { engine.apply([], later); }     // write again what failed
//! if let Some(at) = engine.next_release() { .. }           // then, at that time or later:
//! engine.release(scan_began, &live_flows);                 // free what no flow needs
//! ```
//!
//! - Nothing is written before [`Change::Listed`]; then every Service is compared with what was
//!   read back, and only the differences are written. Services that are gone are taken away.
//! - The cost of a change is that of the Services it touches.
//! - An operation that fails leaves its Service unsettled; the others go on. What was written is
//!   known entry by entry, so the next attempt writes what is missing, whatever has changed since.
//! - Removed things stay until a grace time has passed and their last flow has ended.
//!   [`LiveFlows`] is the agent's scan of the flow table, begun after [`Engine::next_release`].
//! - No clock, no thread, no I/O but the writer's.

mod claims;
mod execute;
mod local;
mod node;
mod reconcile;
mod unserved;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use svclb_common::filter::Interest;

use claims::Claims;
use execute::Maps;
use local::LocalEndpoints;
pub use local::{HealthCheck, WithoutLocal};

use crate::{
    desired::{Detection, NodeContext},
    plan::{Ledger, Limits, LiveFlows, kernel::KernelState, operation::BackendEntry},
    problem::Problem,
    snapshot::{Change, ObjectKey, Snapshot},
    writer::MapWriter,
};

/// What the engine has to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of this node.
    pub node: Arc<str>,
    /// Sizes of the maps.
    pub limits: Limits,
    /// How long a removed entry stays at least: longer than a packet's way through the programs.
    pub grace: Duration,
    /// What the operator says about clients and addresses.
    pub traffic: Traffic,
}

/// What the operator says about clients and addresses.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Who is inside the cluster.
    pub detection: Detection,
    /// Ranges that ClusterIPs are given out from, beside those of ServiceCIDRs; without the bits of
    /// a host.
    pub service_cidrs: BTreeSet<IpNet>,
    /// Services whose ClusterIPs a process of the node answers by itself.
    pub left_to_host: BTreeSet<ObjectKey>,
}

/// What a call has done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// How many Services were looked at.
    pub services: usize,
    /// How many operations have written to a map.
    pub operations: usize,
    /// What is wrong and was not wrong before.
    pub problems: Vec<Problem>,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.services += other.services;
        self.operations += other.operations;
        self.problems.extend(other.problems);
    }
}

/// Keeps the maps equal to the cluster. See the [module](self).
#[derive(Debug)]
pub struct Engine<W> {
    grace: Duration,
    traffic: Traffic,
    snapshot: Snapshot,
    node: NodeContext,
    /// Addresses of this node as the kernel has them; `node` adds those of the Node object.
    own_addresses: HashSet<IpAddr>,
    listed: bool,
    claims: Claims,
    local: LocalEndpoints,
    ledger: Ledger,
    maps: Maps<W>,
    /// Services with an operation that failed.
    failed: BTreeSet<ObjectKey>,
    /// Services that did not fit.
    starved: BTreeSet<ObjectKey>,
    problems: BTreeMap<ObjectKey, Vec<Problem>>,
}

impl<W: MapWriter> Engine<W> {
    /// An engine that takes over the maps behind `writer`, which hold `kernel`.
    pub fn new(options: Options, kernel: KernelState, writer: W, now: Instant) -> Self {
        let ledger = Ledger::adopt(options.limits, &kernel, now);
        Self {
            grace: options.grace,
            snapshot: Snapshot::default(),
            node: NodeContext {
                name: options.node,
                left_to_host: options.traffic.left_to_host.clone(),
                ..NodeContext::default()
            },
            traffic: options.traffic,
            own_addresses: HashSet::new(),
            listed: false,
            claims: Claims::default(),
            local: LocalEndpoints::default(),
            ledger,
            maps: Maps::new(writer, kernel),
            failed: BTreeSet::new(),
            starved: BTreeSet::new(),
            problems: BTreeMap::new(),
        }
    }

    /// Takes `changes` in and writes what they change, and what an earlier call left unwritten.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>, now: Instant) -> Outcome {
        let (mut touched, mut ranges) = (BTreeSet::new(), false);
        for change in changes {
            self.listed |= change == Change::Listed;
            match &change {
                Change::Listed => self.touch_all(&mut touched),
                Change::Node(name, node) if *name == self.node.name => {
                    self.set_node(node.as_ref(), &mut touched);
                }
                _ => {}
            }
            ranges |= matches!(change, Change::Listed | Change::Node(..) | Change::ServiceCidr(..));
            self.snapshot.apply(change, &mut touched);
        }
        if !ranges || !self.listed {
            return self.reconcile(touched, now);
        }
        self.set_ranges();
        let mut outcome = self.reconcile(touched, now);
        if self.set_service_cidrs(now) {
            outcome += self.reconcile(BTreeSet::new(), now);
        }
        outcome
    }

    /// Says which addresses this node has: all of every device but loopback. They are watched, and
    /// endpoints that have one of them are on this node.
    pub fn set_node_addresses(&mut self, addresses: HashSet<IpAddr>, now: Instant) -> Outcome {
        let old = mem::replace(&mut self.own_addresses, addresses);
        for ip in self.own_addresses.difference(&old) {
            self.ledger.watch(*ip, Interest::Frontend);
        }
        for ip in old.difference(&self.own_addresses) {
            self.ledger.unwatch(*ip, Interest::Frontend, now);
        }
        let object = self.snapshot.node(&self.node.name);
        let object = object.map(|node| node.addresses.clone()).unwrap_or_default();
        let mut touched = BTreeSet::new();
        self.set_local(&object, &mut touched);
        self.reconcile(touched, now)
    }

    /// Frees what was retired at least the grace time before `scanned` and is not among `live`.
    /// `live` must come from a scan of the flow table that began at `scanned`.
    pub fn release(&mut self, scanned: Instant, live: &LiveFlows) -> Outcome {
        let mut outcome = Outcome::default();
        if self.release_due(scanned, live, &mut outcome) && !self.starved.is_empty() {
            outcome += self.reconcile(BTreeSet::new(), scanned);
        }
        outcome
    }

    /// Backends that have stopped taking connections, or have vanished, since this was last asked;
    /// at first, all that an earlier agent has left so.
    pub fn take_left(&mut self) -> BTreeMap<u32, BackendEntry> {
        let left = mem::take(&mut self.maps.left);
        let entry = |id| Some((id, *self.maps.kernel.backends.get(&id)?));
        left.into_iter().filter_map(entry).filter(|(_, entry)| !entry.is_serving()).collect()
    }

    /// From when on [`Engine::release`] may have something to free.
    pub fn next_release(&self) -> Option<Instant> {
        self.ledger.oldest_retired().map(|at| at + self.grace)
    }

    /// Whether the maps are what they should be, as far as they have room.
    pub fn is_settled(&self) -> bool {
        self.failed.is_empty() && !self.ledger.has_pending()
    }

    /// What is wrong now, by Service.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values().flatten()
    }

    /// The cluster as it is known.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What this node is to the decisions.
    pub fn node(&self) -> &NodeContext {
        &self.node
    }

    /// What the maps hold.
    pub fn kernel(&self) -> &KernelState {
        &self.maps.kernel
    }

    /// The writer.
    pub fn writer(&mut self) -> &mut W {
        &mut self.maps.writer
    }
}
