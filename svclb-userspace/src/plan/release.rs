//! What is freed once nothing needs it any more.
//!
//! A range of slots may still be read by a packet that met the service before the switch; a
//! backend, a frontend's address and a service id are needed until their last flow has ended.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use svclb_common::filter::Interest;

use super::{
    kernel::KernelState,
    ledger::{Entry, Ledger},
    operation::{Family, Operation, ServicePort},
    ranges::Range,
};

/// What the flow table still refers to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveFlows {
    /// Backend ids.
    pub backends: HashSet<u32>,
    /// Addresses of frontends, backends and masquerading.
    pub addresses: HashSet<IpAddr>,
}

/// Something that waits for its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Retired {
    pub(super) since: Instant,
    pub(super) owner: Option<ServicePort>,
    pub(super) item: Item,
}

impl Retired {
    /// The service port whose it was, if it was one's.
    pub(crate) fn owner(&self) -> Option<&ServicePort> {
        self.owner.as_ref()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A range of slots that was switched away from.
    Range(Range),
    /// A backend that no longer serves.
    Backend(SocketAddr),
    /// One user of a watched address.
    Watch(IpAddr, Interest),
    /// The service id and its name.
    Service,
}

/// Whether something retired can go.
pub(crate) enum Due {
    /// Now, by these operations.
    Free(Vec<Operation>),
    /// Not yet.
    Wait,
    /// It has come back to life, or is gone already.
    Stale,
}

impl Ledger {
    /// When the oldest retired thing was retired.
    pub fn oldest_retired(&self) -> Option<Instant> {
        self.retired.front().map(|retired| retired.since)
    }

    /// Takes out what was retired at least `grace` before `at`, oldest first.
    pub(crate) fn take_due(&mut self, at: Instant, grace: Duration) -> Vec<Retired> {
        let due = self.retired.partition_point(|retired| retired.since + grace <= at);
        self.retired.drain(..due).collect()
    }

    /// Puts back what could not go yet.
    pub(crate) fn put_back(&mut self, waiting: Vec<Retired>) {
        for retired in waiting.into_iter().rev() {
            self.retired.push_front(retired);
        }
    }

    /// Whether `retired` can go, and by which operations.
    pub(crate) fn due(&self, retired: &Retired, live: &LiveFlows, kernel: &KernelState) -> Due {
        let entry = retired.owner.as_ref().and_then(|owner| self.entries.get(owner));
        match (&retired.item, entry) {
            (Item::Watch(ip, interest), _) => self.watch_due(*ip, *interest, live),
            (Item::Range(range), Some(entry)) => range_due(*range, entry, kernel),
            (Item::Range(_), None) => Due::Free(Vec::new()),
            (Item::Backend(address), Some(entry)) => {
                self.backend_due(*address, entry, retired.since, live)
            }
            (Item::Service, Some(entry)) => service_due(entry, retired.since, kernel),
            (Item::Backend(_) | Item::Service, None) => Due::Stale,
        }
    }

    /// Frees `retired`, whose operations have been carried out.
    pub(crate) fn free(&mut self, retired: &Retired) {
        let Some(owner) = &retired.owner else {
            if let Item::Watch(ip, interest) = retired.item {
                self.watches.remove(ip, interest);
            }
            return;
        };
        match retired.item {
            Item::Range(range) => self.ranges.give_back(range),
            Item::Watch(ip, interest) => self.watches.remove(ip, interest),
            Item::Backend(address) => {
                let entry = self.entries.get_mut(owner);
                if let Some(held) = entry.and_then(|entry| entry.backends.remove(&address)) {
                    self.backend_ids.give_back(held.id);
                    self.watches.remove(address.ip(), Interest::Backend);
                }
            }
            Item::Service => {
                if let Some(entry) = self.entries.remove(owner) {
                    self.service_ids.give_back(entry.id);
                }
            }
        }
    }

    fn watch_due(&self, ip: IpAddr, interest: Interest, live: &LiveFlows) -> Due {
        match self.watches.is_last(ip, interest) {
            true if live.addresses.contains(&ip) => Due::Wait,
            true => Due::Free(vec![Operation::Unwatch(ip, interest)]),
            false => Due::Free(Vec::new()),
        }
    }

    fn backend_due(
        &self,
        address: SocketAddr,
        entry: &Entry,
        since: Instant,
        live: &LiveFlows,
    ) -> Due {
        let Some(held) = entry.backends.get(&address) else { return Due::Stale };
        if held.retired != Some(since) {
            return Due::Stale;
        }
        let ip = address.ip();
        let last = self.watches.is_last(ip, Interest::Backend);
        // A direct connection that was moved aside has the address but no backend id.
        if live.backends.contains(&held.id) || last && live.addresses.contains(&ip) {
            return Due::Wait;
        }
        let mut operations = vec![Operation::RemoveBackend(held.id, Family::of(ip))];
        if last {
            operations.push(Operation::Unwatch(ip, Interest::Backend));
        }
        Due::Free(operations)
    }
}

fn range_due(range: Range, entry: &Entry, kernel: &KernelState) -> Due {
    let service = kernel.service(entry.id);
    // The switch away from it was never written.
    let cluster = service.slots > 0 && service.first_slot == range.first;
    let local = service.local_slots > 0 && range.contains(service.first_local);
    if cluster || local {
        return Due::Wait;
    }
    Due::Free(Vec::new())
}

fn service_due(entry: &Entry, since: Instant, kernel: &KernelState) -> Due {
    if entry.retired != Some(since) {
        return Due::Stale;
    }
    let leads_here = |address| {
        kernel.frontends.get(address).is_some_and(|frontend| frontend.service == entry.id)
    };
    if entry.backends.is_empty() && !entry.dropped.iter().any(leads_here) {
        Due::Free(vec![Operation::RemoveName(entry.id)])
    } else {
        Due::Wait
    }
}
