//! What is new: names, backends, slots, the switch, frontends.

use std::{net::SocketAddr, time::Instant};

use svclb_common::filter::Interest;

use super::{
    additions::additions,
    kernel::KernelState,
    ledger::{Entry, Held, Ledger, Shortage},
    operation::{FrontendAddress, Operation, ServicePort},
    ranges::Range,
    release::Item,
    watches::Watches,
};
use crate::{
    desired::{DesiredBackend, DesiredPort},
    snapshot::TrafficPolicy,
};

impl Ledger {
    /// Gives the service port what it lacks, and says what has to be written.
    pub(super) fn extend(
        &mut self,
        desired: &DesiredPort,
        kernel: &KernelState,
        now: Instant,
        shortages: &mut Vec<Shortage>,
    ) -> Vec<Operation> {
        let owner = &desired.owner;
        let mut short = |map, missing| {
            if missing > 0 {
                shortages.push(Shortage { owner: owner.clone(), map, missing });
            }
        };
        let Some(mut entry) = self.entries.remove(owner).or_else(|| self.new_entry(desired)) else {
            short("services", 1);
            return Vec::new();
        };
        entry.port = desired.port;
        entry.retired = None;
        let backends: Vec<_> = desired.backends().collect();
        let held = backends.iter().filter(|b| self.hold(&mut entry, b)).count();
        short("backends", backends.len() - held);
        short("slots", self.lay_out(desired, &mut entry, now));
        entry.admitted.clone_from(&desired.admitted);
        for frontend in &desired.frontends {
            self.open(&mut entry, frontend.address, desired.flags(frontend));
        }
        let operations = additions(desired, &entry, &backends, kernel);
        self.entries.insert(owner.clone(), entry);
        operations
    }

    fn new_entry(&mut self, desired: &DesiredPort) -> Option<Entry> {
        self.service_ids.take().map(|id| Entry::new(id, desired.port))
    }

    /// Gives the backend an id: its own if it has one (a retired one comes back to life), else a
    /// new one; false when there is none left.
    fn hold(&mut self, entry: &mut Entry, backend: &DesiredBackend) -> bool {
        let DesiredBackend { address, flags, weight } = *backend;
        if let Some(held) = entry.backends.get_mut(&address) {
            *held = Held { id: held.id, flags, weight, retired: None };
            return true;
        }
        let Some(id) = self.backend_ids.take() else { return false };
        entry.backends.insert(address, Held { id, flags, weight, retired: None });
        watch_backend(&mut self.watches, address);
        true
    }

    /// Puts both sets into a fresh range, unless they are in one already. Without room for that,
    /// the old range takes as many as it can; the number of those left out is returned.
    fn lay_out(&mut self, desired: &DesiredPort, entry: &mut Entry, now: Instant) -> usize {
        let owner = &desired.owner;
        let ids = |policy| {
            let held = desired.set(policy).filter_map(|at| Some(entry.backends.get(&at)?.id));
            held.collect::<Vec<_>>()
        };
        let mut ids = [ids(TrafficPolicy::Cluster), ids(TrafficPolicy::Local)];
        let cluster = ids[0].len();
        if (entry.cluster, &entry.slots) == (cluster, &ids.concat()) {
            return 0;
        }
        let wanted = ids.concat().len();
        let fresh = u32::try_from(wanted).ok().and_then(|len| self.ranges.take(len));
        let mut missing = 0;
        match fresh {
            Some(range) => {
                let old = std::mem::replace(&mut entry.range, range);
                self.retire_range(owner, old, now);
            }
            None => {
                missing = wanted.saturating_sub(entry.range.len as usize);
                share(&mut ids, entry.range.len as usize);
            }
        }
        entry.cluster = ids[0].len();
        entry.slots = ids.concat();
        missing
    }

    pub(super) fn retire_range(&mut self, owner: &ServicePort, range: Range, now: Instant) {
        if range.len > 0 {
            self.retire(Some(owner), Item::Range(range), now);
        }
    }

    /// Gives the frontend to the service port.
    fn open(&mut self, entry: &mut Entry, address: FrontendAddress, flags: u32) {
        self.holders.insert(address, entry.id);
        entry.dropped.remove(&address);
        let is_new = entry.frontends.insert(address, flags).is_none();
        if let (true, Some(ip)) = (is_new, address.ip()) {
            self.watches.add(ip, Interest::Frontend);
        }
    }
}

/// Leaves out what does not fit into `room` slots; neither set loses its last slot to the other.
fn share([cluster, local]: &mut [Vec<u32>; 2], room: usize) {
    let for_local = local.len().min(room / 2);
    cluster.truncate(room - for_local);
    local.truncate(room - cluster.len());
}

/// Lets packets to and from a backend through the probe.
pub(super) fn watch_backend(watches: &mut Watches, address: SocketAddr) {
    watches.add(address.ip(), Interest::Backend);
}
