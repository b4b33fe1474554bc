//! The kernel's maps, opened from their pins.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

use anyhow::Result;
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuValues};
use ipnet::IpNet;
use svclb_common::{
    address::{V4, V6},
    counters::Traffic,
    frontend::{Frontend, Service, Slot},
    names::Owner,
};

use super::{
    MapReader, MapWriter, WriteError,
    convert::{owner, service_port},
    family::FamilyMaps,
    probe::Probe,
};
use crate::{
    pins::Pins,
    plan::{
        Operation,
        kernel::KernelState,
        operation::{BackendEntry, Family, FrontendAddress},
    },
};

/// Writes to the maps of the kernel programs.
pub struct KernelMaps {
    names: HashMap<MapData, u32, Owner>,
    services: Array<MapData, Service>,
    slots: Array<MapData, Slot>,
    v4: FamilyMaps<V4>,
    v6: FamilyMaps<V6>,
    service_traffic: Counters,
    backend_traffic: Counters,
    probe: Probe,
}

impl KernelMaps {
    /// Opens the pinned maps.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if one is not pinned, has another layout or cannot be read.
    pub fn open(pins: &Pins) -> Result<Self> {
        Ok(Self {
            names: pins.map("names")?,
            services: pins.map("services")?,
            slots: pins.map("slots")?,
            v4: FamilyMaps::open(pins)?,
            v6: FamilyMaps::open(pins)?,
            service_traffic: Counters { name: "svc_stats", map: pins.map("svc_stats")? },
            backend_traffic: Counters { name: "be_stats", map: pins.map("be_stats")? },
            probe: Probe::open(pins)?,
        })
    }

    /// Makes `node_addrs4`/`node_addrs6` equal to `addresses`, which have bits of
    /// [`node_flags`](svclb_common::frontend::node_flags).
    ///
    /// # Errors
    ///
    /// Names the map that could not be written; calling again goes on from there.
    pub fn set_node_addresses(
        &mut self,
        addresses: &BTreeMap<IpAddr, u32>,
    ) -> Result<(), WriteError> {
        let mut known = self.v4.node_addresses()?;
        known.extend(self.v6.node_addresses()?);
        for ip in known.keys().filter(|ip| !addresses.contains_key(*ip)) {
            self.v4.remove_node_address(*ip)?;
            self.v6.remove_node_address(*ip)?;
        }
        for (ip, flags) in addresses.iter().filter(|(ip, flags)| known.get(*ip) != Some(*flags)) {
            self.v4.set_node_address(*ip, *flags)?;
            self.v6.set_node_address(*ip, *flags)?;
        }
        Ok(())
    }

    /// Clears the bits of the probe that an earlier agent has set and nobody has asked for since,
    /// but for those of `live`, which running flows refer to. To be called once the first plan is
    /// written.
    ///
    /// # Errors
    ///
    /// Fails if the probe cannot be written.
    pub fn forget_unwatched(&mut self, live: &HashSet<IpAddr>) -> Result<(), WriteError> {
        self.probe.forget_unwatched(live)
    }

    fn set_frontend(
        &mut self,
        address: &FrontendAddress,
        frontend: Option<Frontend>,
    ) -> Result<(), WriteError> {
        match address.family() {
            Family::V4 => self.v4.set_frontend(address, frontend),
            Family::V6 => self.v6.set_frontend(address, frontend),
        }
    }

    fn set_source(&mut self, id: u32, range: IpNet, present: bool) -> Result<(), WriteError> {
        match Family::of(range.network()) {
            Family::V4 => self.v4.set_source(id, range, present),
            Family::V6 => self.v6.set_source(id, range, present),
        }
    }

    fn set_service_cidr(&mut self, range: IpNet, present: bool) -> Result<(), WriteError> {
        match Family::of(range.network()) {
            Family::V4 => self.v4.set_service_cidr(range, present),
            Family::V6 => self.v6.set_service_cidr(range, present),
        }
    }

    fn set_backend(
        &mut self,
        id: u32,
        family: Family,
        entry: Option<&BackendEntry>,
    ) -> Result<(), WriteError> {
        match family {
            Family::V4 => self.v4.set_backend(id, entry),
            Family::V6 => self.v6.set_backend(id, entry),
        }
    }

    fn set_slots(&mut self, first: u32, slots: &[Slot]) -> Result<(), WriteError> {
        for (index, slot) in (first..).zip(slots) {
            self.slots.set(index, slot, 0).map_err(|error| WriteError::new("slots", error))?;
        }
        Ok(())
    }

    fn set_service(&mut self, id: u32, service: Service) -> Result<(), WriteError> {
        self.services.set(id, service, 0).map_err(|error| WriteError::new("services", error))
    }

    /// A service id that is given to another owner starts counting anew.
    fn remove_name(&mut self, id: u32) -> Result<(), WriteError> {
        ignore_missing(self.names.remove(&id)).map_err(|error| WriteError::new("names", error))?;
        self.service_traffic.reset(id)
    }
}

impl MapWriter for KernelMaps {
    fn apply(&mut self, operation: &Operation) -> Result<bool, WriteError> {
        match operation {
            Operation::Watch(ip, interest) => return self.probe.set(*ip, *interest),
            Operation::Unwatch(ip, interest) => return self.probe.clear(*ip, *interest),
            Operation::SetName(id, port, number) => self
                .names
                .insert(id, owner(port, *number), 0)
                .map_err(|error| WriteError::new("names", error)),
            Operation::RemoveName(id) => self.remove_name(*id),
            Operation::SetBackend(id, entry) => {
                self.set_backend(*id, Family::of(entry.address.ip()), Some(entry))
            }
            Operation::RemoveBackend(id, family) => {
                self.set_backend(*id, *family, None)?;
                self.backend_traffic.reset(*id)
            }
            Operation::SetSlots(first, slots) => self.set_slots(*first, slots),
            Operation::SetService(id, service) => self.set_service(*id, *service),
            Operation::RemoveService(id) => self.set_service(*id, Service::default()),
            Operation::AddSource(id, range) => self.set_source(*id, *range, true),
            Operation::RemoveSource(id, range) => self.set_source(*id, *range, false),
            Operation::AddServiceCidr(range) => self.set_service_cidr(*range, true),
            Operation::RemoveServiceCidr(range) => self.set_service_cidr(*range, false),
            Operation::SetFrontend(address, frontend) => {
                self.set_frontend(address, Some(*frontend))
            }
            Operation::RemoveFrontend(address) => self.set_frontend(address, None),
        }
        .map(|()| true)
    }
}

impl MapReader for KernelMaps {
    fn read(&self) -> Result<KernelState, WriteError> {
        let mut state = KernelState::default();
        for entry in self.names.iter() {
            let (id, owner) = entry.map_err(|error| WriteError::new("names", error))?;
            state.names.extend(service_port(&owner).map(|port| (id, (port, owner.port))));
        }
        for (id, service) in (0..).zip(self.services.iter()) {
            let service = service.map_err(|error| WriteError::new("services", error))?;
            if service != Service::default() {
                let Service { first_slot, slots, first_local, local_slots, .. } = service;
                self.read_slots(first_slot, slots, &mut state)?;
                self.read_slots(first_local, local_slots, &mut state)?;
                state.services.insert(id, service);
            }
        }
        self.v4.read(&mut state)?;
        self.v6.read(&mut state)?;
        Ok(state)
    }
}

impl KernelMaps {
    /// Only the ranges that services own: the rest of `slots` is written before it is used.
    fn read_slots(
        &self,
        first: u32,
        slots: u32,
        state: &mut KernelState,
    ) -> Result<(), WriteError> {
        for index in first..first.saturating_add(slots).min(self.slots.len()) {
            let slot =
                self.slots.get(&index, 0).map_err(|error| WriteError::new("slots", error))?;
            if slot != Slot::default() {
                state.slots.insert(index, slot);
            }
        }
        Ok(())
    }
}

/// Counters that the packet path writes, set to zero when their id is given back.
struct Counters {
    name: &'static str,
    map: PerCpuArray<MapData, Traffic>,
}

impl Counters {
    fn reset(&mut self, id: u32) -> Result<(), WriteError> {
        let mut zero = || -> Result<(), MapError> {
            let cpus = self.map.get(&id, 0)?.len();
            let zeros = PerCpuValues::try_from(vec![Traffic::default(); cpus])?;
            self.map.set(id, zeros, 0)
        };
        zero().map_err(|error| WriteError::new(self.name, error))
    }
}

/// Removing what is not there is no failure.
pub(super) fn ignore_missing(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        result => result,
    }
}
