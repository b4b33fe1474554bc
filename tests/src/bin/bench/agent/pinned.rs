//! What the kernel holds, read from the pinned maps, as the packet path reads it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData};
use svclb::{
    pins::Pins,
    plan::kernel::KernelState,
    writer::{MapReader as _, maps::KernelMaps},
};
use svclb_common::{
    address::V4,
    frontend::{Backend, Service, Slot},
};

/// The maps that lead from a service to its endpoints.
pub(super) struct Pinned {
    services: Array<MapData, Service>,
    slots: Array<MapData, Slot>,
    backends: Array<MapData, Backend<V4>>,
}

impl Pinned {
    /// Opens them.
    ///
    /// # Errors
    /// They are not pinned.
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        Ok(Self {
            services: pins.map("services")?,
            slots: pins.map("slots")?,
            backends: pins.map("backends4")?,
        })
    }

    /// Whether new flows of a service may go to an address.
    ///
    /// # Errors
    /// A map cannot be read.
    pub(super) fn serves(&self, service: u32, address: Ipv4Addr) -> Result<bool> {
        let service = self.services.get(&service, 0).context("map services")?;
        for index in service.first_slot..service.first_slot + service.slots {
            let slot = self.slots.get(&index, 0).context("map slots")?;
            let backend = self.backends.get(&slot.backend, 0).context("map backends4")?;
            if Ipv4Addr::from(backend.address.ip) == address {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Everything that the agent has written.
pub(super) struct Written(KernelState);

impl Written {
    /// Reads all of it.
    ///
    /// # Errors
    /// A map cannot be read.
    pub(super) fn read(pins: &Pins) -> Result<Self> {
        KernelMaps::open(pins)?.read().map(Self).context("pinned maps")
    }

    /// The service id of each Service of one port, by its name.
    pub(super) fn ids(&self) -> HashMap<String, u32> {
        self.0.names.iter().map(|(id, (port, _))| (port.name.clone(), *id)).collect()
    }

    /// How many Services can be asked and have exactly the endpoints wanted.
    pub(super) fn right<'a>(
        &self,
        wanted: impl Iterator<Item = (String, &'a [Ipv4Addr])>,
    ) -> usize {
        let ids = self.ids();
        let asked: HashSet<_> = self.0.frontends.values().map(|to| to.service).collect();
        let is_right = |name: &String, wanted: &[Ipv4Addr]| {
            let wanted: BTreeSet<IpAddr> = wanted.iter().map(|ip| (*ip).into()).collect();
            let id = ids.get(name).filter(|id| asked.contains(id));
            id.is_some_and(|id| self.endpoints(*id) == wanted)
        };
        wanted.filter(|(name, wanted)| is_right(name, wanted)).count()
    }

    /// Where new flows of a service may go.
    fn endpoints(&self, id: u32) -> BTreeSet<IpAddr> {
        let service = self.0.service(id);
        let slots = self.0.slots(service.first_slot, service.slots);
        slots.filter_map(|slot| Some(self.0.backends.get(&slot.backend)?.address.ip())).collect()
    }

    /// How many entries of names, services, frontends and slots in use are others. Endpoints that
    /// only waited for their last flow may be gone.
    pub(super) fn differences(&self, other: &Self) -> usize {
        let (a, b) = (&self.0, &other.0);
        differences(&a.names, &b.names)
            + differences(&a.services, &b.services)
            + differences(&a.frontends, &b.frontends)
            + differences(&a.slots, &b.slots)
    }
}

fn differences<K: Ord, V: PartialEq>(a: &BTreeMap<K, V>, b: &BTreeMap<K, V>) -> usize {
    let changed = a.iter().filter(|(key, value)| b.get(key) != Some(value)).count();
    changed + b.keys().filter(|key| !a.contains_key(key)).count()
}
