//! Taking over what an earlier agent has written.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use svclb_common::{
    filter::Interest,
    frontend::{Service, backend_flags},
};

use super::{
    extend::watch_backend,
    ids::IdPool,
    kernel::KernelState,
    ledger::{Entry, Held, Ledger, Limits},
    node::NodeRanges,
    operation::{BackendEntry, Family, FrontendAddress, Operation, ServicePort},
    ranges::{Range, RangePool},
    release::Item,
};

impl Ledger {
    /// A ledger of what `kernel` holds, so that only differences are written from now on.
    ///
    /// A service id without a name, a backend or frontend without a service, a second id of one
    /// owner, a range that overlaps another: what contradicts itself is taken away by the next
    /// plan's repairs.
    pub fn adopt(limits: Limits, kernel: &KernelState, now: Instant) -> Self {
        let mut ledger = Self::new(limits);
        let owners = ledger.adopt_names(limits, kernel);
        ledger.adopt_services(&owners, kernel);
        ledger.adopt_backends(limits, &owners, kernel, now);
        ledger.adopt_frontends(&owners, kernel);
        ledger.adopt_sources(&owners, kernel);
        ledger
    }

    fn adopt_names<'k>(
        &mut self,
        limits: Limits,
        kernel: &'k KernelState,
    ) -> HashMap<u32, &'k ServicePort> {
        let mut owners = HashMap::new();
        for (&id, (owner, port)) in &kernel.names {
            if (1..limits.services).contains(&id) && !self.entries.contains_key(owner) {
                self.entries.insert(owner.clone(), Entry::new(id, *port));
                owners.insert(id, owner);
            } else {
                self.repairs.push(Operation::RemoveName(id));
            }
        }
        self.service_ids = IdPool::new(limits.services, &owners.keys().copied().collect());
        owners
    }

    fn adopt_services(&mut self, owners: &HashMap<u32, &ServicePort>, kernel: &KernelState) {
        for (&id, service) in &kernel.services {
            let entry = owners.get(&id).and_then(|owner| self.entries.get_mut(*owner));
            match entry {
                Some(entry) => adopt_range(&mut self.ranges, entry, service, kernel),
                None => self.repairs.push(Operation::RemoveService(id)),
            }
        }
    }

    fn adopt_backends(
        &mut self,
        limits: Limits,
        owners: &HashMap<u32, &ServicePort>,
        kernel: &KernelState,
        now: Instant,
    ) {
        let mut used = HashSet::new();
        for (&id, backend) in &kernel.backends {
            let owner = owners.get(&backend.service).copied();
            if !(1..limits.backends).contains(&id) || !self.adopt_backend(owner, id, backend, now) {
                let family = Family::of(backend.address.ip());
                self.repairs.push(Operation::RemoveBackend(id, family));
                continue;
            }
            used.insert(id);
        }
        self.backend_ids = IdPool::new(limits.backends, &used);
    }

    /// Enters a backend with its service, if it belongs there.
    fn adopt_backend(
        &mut self,
        owner: Option<&ServicePort>,
        id: u32,
        backend: &BackendEntry,
        now: Instant,
    ) -> bool {
        let BackendEntry { address, protocol, flags, weight, .. } = *backend;
        let fits = |owner: &&ServicePort| {
            (owner.protocol, owner.family) == (protocol, Family::of(address.ip()))
        };
        let Some(owner) = owner.filter(fits) else { return false };
        let Some(entry) = self.entries.get_mut(owner) else { return false };
        if entry.backends.contains_key(&address) {
            return false;
        }
        let retired = (flags & backend_flags::SERVING == 0).then_some(now);
        entry.backends.insert(address, Held { id, flags, weight, retired });
        watch_backend(&mut self.watches, address);
        if retired.is_some() {
            self.retire(Some(owner), Item::Backend(address), now);
        }
        true
    }

    fn adopt_sources(&mut self, owners: &HashMap<u32, &ServicePort>, kernel: &KernelState) {
        self.node = NodeRanges::of(kernel);
        self.adopt_service_cidrs(kernel);
        for (&id, ranges) in kernel.sources.iter().filter(|(id, _)| !NodeRanges::has_id(**id)) {
            match owners.get(&id).and_then(|owner| self.entries.get_mut(*owner)) {
                Some(entry) => entry.admitted.clone_from(ranges),
                None => {
                    let over = ranges.iter().map(|range| Operation::RemoveSource(id, *range));
                    self.repairs.extend(over);
                }
            }
        }
    }

    fn adopt_frontends(&mut self, owners: &HashMap<u32, &ServicePort>, kernel: &KernelState) {
        for (&address, frontend) in &kernel.frontends {
            let owner = owners.get(&frontend.service).filter(|owner| belongs(address, owner));
            let Some(entry) = owner.and_then(|owner| self.entries.get_mut(*owner)) else {
                self.repairs.push(Operation::RemoveFrontend(address));
                continue;
            };
            entry.frontends.insert(address, frontend.flags);
            self.holders.insert(address, entry.id);
            if let Some(ip) = address.ip() {
                self.watches.add(ip, Interest::Frontend);
            }
        }
    }
}

/// Whether the frontend is of its owner's protocol and family.
fn belongs(address: FrontendAddress, owner: &ServicePort) -> bool {
    let fits = address.protocol().is_none_or(|protocol| protocol == owner.protocol);
    fits && address.family() == owner.family
}

/// Enters the service's range. One that is not free stays unknown: the service gets another.
fn adopt_range(ranges: &mut RangePool, entry: &mut Entry, service: &Service, kernel: &KernelState) {
    let Service { first_slot, slots, first_local, local_slots, .. } = *service;
    let Some(len) = slots.checked_add(local_slots) else { return };
    let range = Range { first: if slots == 0 { first_local } else { first_slot }, len };
    // Both sets are one range; anything else is nobody's work.
    let apart = local_slots != 0 && range.first.checked_add(slots) != Some(first_local);
    if range.len == 0 || apart || !ranges.reserve(range) {
        return;
    }
    entry.range = range;
    entry.cluster = slots as usize;
    entry.slots = kernel
        .slots(range.first, range.len)
        .map(|slot| if slot.service == entry.id { slot.backend } else { 0 })
        .collect();
}
