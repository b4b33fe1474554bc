//! What user space has written into the kernel's maps, as plain values.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;
use svclb_common::{
    filter::Interest,
    frontend::{Frontend, Service, Slot},
};

use super::operation::{BackendEntry, FrontendAddress, Operation, ServicePort};

/// The contents of the maps: read back at start, and followed operation by operation from then on.
///
/// Arrays have no absent entries, so a zeroed entry and a missing one are the same here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KernelState {
    /// `names`: owner and port number by service id.
    pub names: BTreeMap<u32, (ServicePort, u16)>,
    /// `services`, by service id.
    pub services: BTreeMap<u32, Service>,
    /// `slots`, by index.
    pub slots: BTreeMap<u32, Slot>,
    /// `backends4` and `backends6`, by backend id.
    pub backends: BTreeMap<u32, BackendEntry>,
    /// `frontends4` and `frontends6`.
    pub frontends: BTreeMap<FrontendAddress, Frontend>,
    /// `sources4` and `sources6`: ranges of clients by service id.
    pub sources: BTreeMap<u32, BTreeSet<IpNet>>,
    /// `service_cidrs4` and `service_cidrs6`: ranges that ClusterIPs are given out from.
    pub service_cidrs: BTreeSet<IpNet>,
    /// Addresses whose bits are known to be set in `addr_filter`, as (destination, backend). Bits
    /// cannot be read back, so these are empty at start.
    pub watched: Watched,
}

/// Addresses that the probe lets through, by interest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Watched {
    asked: HashSet<IpAddr>,
    backends: HashSet<IpAddr>,
}

impl Watched {
    /// Whether the address is watched.
    pub fn contains(&self, ip: IpAddr, interest: Interest) -> bool {
        match interest {
            Interest::Frontend => self.asked.contains(&ip),
            Interest::Backend => self.backends.contains(&ip),
        }
    }

    fn set(&mut self, ip: IpAddr, interest: Interest, watched: bool) {
        let addresses = match interest {
            Interest::Frontend => &mut self.asked,
            Interest::Backend => &mut self.backends,
        };
        if watched {
            addresses.insert(ip);
        } else {
            addresses.remove(&ip);
        }
    }
}

impl KernelState {
    /// The service's value; zero if it has none.
    pub fn service(&self, id: u32) -> Service {
        self.services.get(&id).copied().unwrap_or_default()
    }

    /// The backends that take no new connections.
    pub fn left(&self) -> impl Iterator<Item = (u32, BackendEntry)> {
        let left = self.backends.iter().filter(|(_, entry)| !entry.is_serving());
        left.map(|(id, entry)| (*id, *entry))
    }

    /// The ranges of clients of the service.
    pub fn sources(&self, id: u32) -> impl Iterator<Item = IpNet> {
        self.sources.get(&id).into_iter().flatten().copied()
    }

    /// The slots from `first` on, as many as `slots`.
    pub fn slots(&self, first: u32, slots: u32) -> impl Iterator<Item = Slot> {
        (first..first.saturating_add(slots))
            .map(|index| self.slots.get(&index).copied().unwrap_or_default())
    }

    /// Follows one operation that failed: slots may have been written in part.
    pub fn forget(&mut self, operation: &Operation) {
        if let Operation::SetSlots(first, slots) = operation {
            for (index, _) in (*first..).zip(slots) {
                self.slots.remove(&index);
            }
        }
    }

    /// Follows one operation.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Watch(ip, interest) => self.watched.set(*ip, *interest, true),
            Operation::Unwatch(ip, interest) => self.watched.set(*ip, *interest, false),
            Operation::SetName(id, owner, port) => {
                self.names.insert(*id, (owner.clone(), *port));
            }
            Operation::RemoveName(id) => {
                self.names.remove(id);
            }
            Operation::SetBackend(id, entry) => {
                self.backends.insert(*id, *entry);
            }
            Operation::RemoveBackend(id, _) => {
                self.backends.remove(id);
            }
            Operation::SetSlots(first, slots) => {
                for (index, slot) in (*first..).zip(slots) {
                    set_unless_zero(&mut self.slots, index, *slot);
                }
            }
            Operation::SetService(id, service) => {
                set_unless_zero(&mut self.services, *id, *service);
            }
            Operation::RemoveService(id) => {
                self.services.remove(id);
            }
            Operation::AddSource(id, range) => {
                self.sources.entry(*id).or_default().insert(*range);
            }
            Operation::RemoveSource(id, range) => self.remove_source(*id, range),
            Operation::AddServiceCidr(range) => {
                self.service_cidrs.insert(*range);
            }
            Operation::RemoveServiceCidr(range) => {
                self.service_cidrs.remove(range);
            }
            Operation::SetFrontend(address, frontend) => {
                self.frontends.insert(*address, *frontend);
            }
            Operation::RemoveFrontend(address) => {
                self.frontends.remove(address);
            }
        }
    }
}

impl KernelState {
    fn remove_source(&mut self, id: u32, range: &IpNet) {
        if let Some(ranges) = self.sources.get_mut(&id) {
            ranges.remove(range);
            if ranges.is_empty() {
                self.sources.remove(&id);
            }
        }
    }
}

fn set_unless_zero<V: Default + PartialEq>(map: &mut BTreeMap<u32, V>, key: u32, value: V) {
    if value == V::default() {
        map.remove(&key);
    } else {
        map.insert(key, value);
    }
}
