//! What is over: frontends, the service, backends that no longer serve.

use std::{collections::HashSet, net::SocketAddr, time::Instant};

use svclb_common::{
    filter::Interest,
    frontend::{Service, backend_flags},
};

use super::{
    kernel::KernelState,
    ledger::{Entry, Ledger},
    operation::{Operation, ServicePort},
    release::Item,
};
use crate::desired::DesiredPort;

impl Ledger {
    /// Retires what the service port no longer has: everything, without `desired`.
    pub(super) fn trim(
        &mut self,
        owner: &ServicePort,
        desired: Option<&DesiredPort>,
        now: Instant,
    ) {
        let Some(mut entry) = self.entries.remove(owner) else { return };
        self.trim_frontends(owner, &mut entry, desired, now);
        self.trim_backends(owner, &mut entry, desired, now);
        if desired.is_none() && entry.retired.is_none() {
            entry.retired = Some(now);
            entry.slots.clear();
            entry.cluster = 0;
            entry.admitted.clear();
            let range = std::mem::take(&mut entry.range);
            self.retire_range(owner, range, now);
            self.retire(Some(owner), Item::Service, now);
        }
        self.entries.insert(owner.clone(), entry);
    }

    /// What has to be written because of what was retired.
    pub(super) fn removals(&mut self, owner: &ServicePort, kernel: &KernelState) -> Vec<Operation> {
        let Some(entry) = self.entries.get_mut(owner) else { return Vec::new() };
        let id = entry.id;
        // One that has found another holder is overwritten by it; if that fails and the holder
        // gives it up as well, it is the holder's to remove.
        let holders = &self.holders;
        entry.dropped.retain(|address| {
            let known = kernel.frontends.get(address);
            known.is_some_and(|known| known.service == id || !holders.contains_key(address))
        });
        let free = entry.dropped.iter().filter(|address| !holders.contains_key(address));
        let mut operations: Vec<_> = free.copied().map(Operation::RemoveFrontend).collect();
        let over = kernel.sources(id).filter(|range| !entry.admitted.contains(range));
        operations.extend(over.map(|range| Operation::RemoveSource(id, range)));
        if entry.retired.is_some() && kernel.service(id) != Service::default() {
            operations.push(Operation::RemoveService(id));
        }
        for (address, held) in &entry.backends {
            let value = held.entry(owner, id, *address);
            let differs = kernel.backends.get(&held.id).is_some_and(|known| *known != value);
            if held.retired.is_some() && differs {
                operations.push(Operation::SetBackend(held.id, value));
            }
        }
        operations
    }

    fn trim_frontends(
        &mut self,
        owner: &ServicePort,
        entry: &mut Entry,
        desired: Option<&DesiredPort>,
        now: Instant,
    ) {
        let wanted = desired.map_or(&[][..], |desired| &desired.frontends);
        let wanted: HashSet<_> = wanted.iter().map(|frontend| frontend.address).collect();
        let over: Vec<_> =
            entry.frontends.keys().filter(|address| !wanted.contains(*address)).copied().collect();
        for address in over {
            entry.frontends.remove(&address);
            entry.dropped.insert(address);
            if self.holders.get(&address) == Some(&entry.id) {
                self.holders.remove(&address);
            }
            if let Some(ip) = address.ip() {
                self.retire(Some(owner), Item::Watch(ip, Interest::Frontend), now);
            }
        }
    }

    /// Retires the backends that no longer serve, and says which of them are not even listed any
    /// more. The end of a Service says nothing of its pods.
    fn trim_backends(
        &mut self,
        owner: &ServicePort,
        entry: &mut Entry,
        desired: Option<&DesiredPort>,
        now: Instant,
    ) {
        let wanted: HashSet<SocketAddr> = desired
            .map(|desired| desired.backends().map(|backend| backend.address).collect())
            .unwrap_or_default();
        let listed = desired.map(|desired| desired.listed().collect::<HashSet<_>>());
        for (address, held) in &mut entry.backends {
            if held.retired.is_none() && !wanted.contains(address) {
                held.retired = Some(now);
                held.flags &= !backend_flags::SERVING;
                self.retire(Some(owner), Item::Backend(*address), now);
            }
            if let (Some(_), Some(listed)) = (held.retired, &listed) {
                let there = listed.contains(&address.ip());
                held.flags &= !backend_flags::VANISHED;
                held.flags |= if there { 0 } else { backend_flags::VANISHED };
            }
        }
    }
}
