//! Who has which ids, slots and frontends.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use ipnet::IpNet;
use svclb_common::{filter::Interest, layout::size};

use super::{
    Plan, Step, Work,
    ids::IdPool,
    kernel::KernelState,
    node::NodeRanges,
    operation::{BackendEntry, FrontendAddress, Operation, ServicePort},
    ranges::{Range, RangePool},
    release::{Item, Retired},
    watches::Watches,
};
use crate::snapshot::ObjectKey;

/// How many entries the maps have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries of `services`; ids are below it.
    pub services: u32,
    /// Entries of `backends4` and of `backends6`; ids are below it.
    pub backends: u32,
    /// Entries of `slots`.
    pub slots: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { services: size::SERVICES, backends: size::BACKENDS, slots: size::SLOTS }
    }
}

/// Something of a service port did not fit into a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// Whose it is.
    pub owner: ServicePort,
    /// Name of the map that is full.
    pub map: &'static str,
    /// How many entries are missing.
    pub missing: usize,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { map, missing, .. } = self;
        match *map {
            "services" => write!(f, "map services is full: not served"),
            _ => write!(f, "map {map} is full: {missing} endpoints left out"),
        }
    }
}

/// Hands out ids and slots, remembers who has them, and plans the way to what is desired.
#[derive(Debug)]
pub struct Ledger {
    pub(super) service_ids: IdPool,
    pub(super) backend_ids: IdPool,
    pub(super) ranges: RangePool,
    pub(super) entries: BTreeMap<ServicePort, Entry>,
    /// The service id that each frontend belongs to.
    pub(super) holders: HashMap<FrontendAddress, u32>,
    pub(super) watches: Watches,
    pub(super) retired: VecDeque<Retired>,
    pub(super) repairs: Vec<Operation>,
    pub(super) node: NodeRanges,
    pub(super) service_cidrs: BTreeSet<IpNet>,
}

/// What a service port has.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) port: u16,
    /// Since when the service port is gone.
    pub(super) retired: Option<Instant>,
    pub(super) range: Range,
    /// The backend ids that belong into `range`: the cluster set, then the local set.
    pub(super) slots: Vec<u32>,
    /// How many of them are of the cluster set.
    pub(super) cluster: usize,
    /// Who may ask its guarded frontends.
    pub(super) admitted: BTreeSet<IpNet>,
    pub(super) backends: BTreeMap<SocketAddr, Held>,
    pub(super) frontends: BTreeMap<FrontendAddress, u32>,
    /// Frontends it no longer has, until they are known to be out of the map.
    pub(super) dropped: BTreeSet<FrontendAddress>,
}

/// A backend of a service port.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u32,
    pub(super) flags: u8,
    pub(super) weight: u16,
    /// Since when it no longer serves.
    pub(super) retired: Option<Instant>,
}

impl Held {
    pub(super) fn entry(&self, owner: &ServicePort, service: u32, at: SocketAddr) -> BackendEntry {
        BackendEntry {
            address: at,
            protocol: owner.protocol,
            service,
            flags: self.flags,
            weight: self.weight,
        }
    }
}

impl Entry {
    pub(super) fn new(id: u32, port: u16) -> Self {
        Self {
            id,
            port,
            retired: None,
            range: Range::default(),
            slots: Vec::new(),
            cluster: 0,
            admitted: BTreeSet::new(),
            backends: BTreeMap::new(),
            frontends: BTreeMap::new(),
            dropped: BTreeSet::new(),
        }
    }
}

impl Ledger {
    /// Nothing is anybody's yet.
    pub fn new(limits: Limits) -> Self {
        let none = HashSet::new();
        Self {
            service_ids: IdPool::new(limits.services, &none),
            backend_ids: IdPool::new(limits.backends, &none),
            ranges: RangePool::new(limits.slots),
            entries: BTreeMap::new(),
            holders: HashMap::new(),
            watches: Watches::default(),
            retired: VecDeque::new(),
            repairs: Vec::new(),
            node: NodeRanges::default(),
            service_cidrs: BTreeSet::new(),
        }
    }

    /// Plans the way from what `kernel` holds to `work`. Ids and slots are taken at once; what is
    /// given up is retired at `now`.
    pub fn plan(&mut self, work: &[Work], kernel: &KernelState, now: Instant) -> Plan {
        let mut plan = Plan { repairs: self.repairs.clone(), ..Plan::default() };
        let mut steps = Vec::with_capacity(work.len());
        for work in work {
            let additions = match work {
                Work::Set(desired) => self.extend(desired, kernel, now, &mut plan.shortages),
                Work::Remove(_) => Vec::new(),
            };
            steps.push(Step { owner: work.owner().clone(), additions, removals: Vec::new() });
        }
        for work in work {
            match work {
                Work::Set(desired) => self.trim(&desired.owner, Some(desired), now),
                Work::Remove(owner) => self.trim(owner, None, now),
            }
        }
        // Only now is it known which frontends have found another owner.
        for step in &mut steps {
            step.removals = self.removals(&step.owner, kernel);
        }
        steps.retain(|step| !step.additions.is_empty() || !step.removals.is_empty());
        plan.watches = self.watches.pending();
        plan.steps = steps;
        plan
    }

    /// The first `repairs` and `watches` of the last plan were carried out.
    pub fn confirm(&mut self, repairs: usize, watches: usize) {
        self.repairs.drain(..repairs);
        self.watches.confirm(watches);
    }

    /// The service ports of a Service that have anything, the retired ones included: their
    /// removal may not be written yet.
    pub fn owners(&self, key: &ObjectKey) -> impl Iterator<Item = &ServicePort> {
        let same = move |owner: &ServicePort| {
            *owner.namespace == *key.namespace && *owner.name == *key.name
        };
        let owners = self.entries.range(first_owner(key)..).map(|(owner, _)| owner);
        owners.take_while(move |owner| same(owner))
    }

    /// The Services that have anything.
    pub fn services(&self) -> impl Iterator<Item = ObjectKey> {
        self.entries.keys().map(|owner| ObjectKey::new(&owner.namespace, &owner.name))
    }

    /// One reason more to let an address through the probe.
    pub fn watch(&mut self, ip: IpAddr, interest: Interest) {
        self.watches.add(ip, interest);
    }

    /// Ends one reason that [`Ledger::watch`] began, once no flow needs the address any more.
    pub fn unwatch(&mut self, ip: IpAddr, interest: Interest, now: Instant) {
        self.retire(None, Item::Watch(ip, interest), now);
    }

    /// Whether repairs or watches wait to be carried out.
    pub fn has_pending(&self) -> bool {
        !self.repairs.is_empty() || !self.watches.is_settled()
    }

    /// An attempt at `operations` failed: addresses that may have been unwatched by it have users
    /// still, and are watched by the next plan.
    pub(crate) fn undo_unwatch(&mut self, operations: &[Operation]) {
        for operation in operations {
            if let Operation::Unwatch(ip, interest) = operation {
                self.watches.rewatch(*ip, *interest);
            }
        }
    }

    pub(super) fn retire(&mut self, owner: Option<&ServicePort>, item: Item, now: Instant) {
        self.retired.push_back(Retired { since: now, owner: owner.cloned(), item });
    }
}

/// The least service port that a Service can have.
fn first_owner(key: &ObjectKey) -> ServicePort {
    ServicePort {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        port_name: String::new(),
        protocol: super::operation::Protocol::Tcp,
        family: super::operation::Family::V4,
    }
}
