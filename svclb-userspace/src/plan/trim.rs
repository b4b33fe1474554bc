//! What is over: frontends, the service, backends that no longer serve.

use std::{collections::HashSet, net::SocketAddr, time::Instant};

use svclb_common::{
    filter::Interest,
    frontend::{Service, backend_flags},
};

use super::{
    kernel::KernelState,
    ledger::{Entry, Ledger},
    operation::{FrontendAddress, Operation, ServicePort},
    release::Item,
};
use crate::desired::DesiredPort;

impl Ledger {
    /// Retires what the service port no longer has (everything, without `desired`), and says what
    /// has to be written.
    pub(super) fn trim(
        &mut self,
        owner: &ServicePort,
        desired: Option<&DesiredPort>,
        kernel: &KernelState,
        now: Instant,
    ) -> Vec<Operation> {
        let Some(mut entry) = self.entries.remove(owner) else { return Vec::new() };
        self.trim_frontends(owner, &mut entry, desired, now);
        self.trim_backends(owner, &mut entry, desired, now);
        if desired.is_none() && entry.retired.is_none() {
            entry.retired = Some(now);
            entry.slots.clear();
            let range = std::mem::take(&mut entry.range);
            self.retire_range(owner, range, now);
            self.retire(Some(owner), Item::Service, now);
        }
        let operations = self.removals(owner, &mut entry, kernel);
        self.entries.insert(owner.clone(), entry);
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
        let wanted: HashSet<_> = wanted.iter().map(|(address, _)| *address).collect();
        let over: Vec<_> =
            entry.frontends.keys().filter(|address| !wanted.contains(*address)).copied().collect();
        for address in over {
            entry.frontends.remove(&address);
            entry.dropped.insert(address);
            if self.holders.get(&address) == Some(&entry.id) {
                self.holders.remove(&address);
            }
            if let FrontendAddress::Address(at, _) = address {
                self.retire(Some(owner), Item::Watch(at.ip(), Interest::Destination), now);
            }
        }
    }

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
        for (address, held) in &mut entry.backends {
            if held.retired.is_none() && !wanted.contains(address) {
                held.retired = Some(now);
                held.flags &= !backend_flags::SERVING;
                self.retire(Some(owner), Item::Backend(*address), now);
            }
        }
    }

    fn removals(
        &self,
        owner: &ServicePort,
        entry: &mut Entry,
        kernel: &KernelState,
    ) -> Vec<Operation> {
        let id = entry.id;
        // A frontend that another service has taken over was overwritten by it.
        entry.dropped.retain(|address| {
            !self.holders.contains_key(address)
                && kernel.frontends.get(address).is_some_and(|frontend| frontend.service == id)
        });
        let mut operations: Vec<_> =
            entry.dropped.iter().copied().map(Operation::RemoveFrontend).collect();
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
}
