//! What the kernel programs have counted, read from the pinned maps.

use std::{collections::BTreeMap, iter::Sum};

use anyhow::{Context, Result};
use aya::{
    Pod,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use svclb_common::{
    counters::{Occupancy, Traffic},
    frontend::Device,
    outcome::Outcome,
};

use super::{Inventory, MapUse};
use crate::{
    pins::Pins,
    plan::operation::{Family, ServicePort},
};

/// The maps that are counted by entries.
const SIZED: [&str; 9] = [
    "frontends4",
    "frontends6",
    "services",
    "slots",
    "backends4",
    "backends6",
    "devices",
    "flows4",
    "flows6",
];

/// The pinned maps in which the programs count.
pub struct Counters {
    outcomes: PerCpu<u64>,
    services: PerCpu<Traffic>,
    backends: PerCpu<Traffic>,
    occupancy: Array<MapData, Occupancy>,
    devices: HashMap<MapData, u32, Device>,
    sizes: BTreeMap<&'static str, u32>,
}

/// The flow table of one family, as the last sweep found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowTable {
    /// Its family.
    pub family: Family,
    /// How many flows fit.
    pub size: u32,
    /// What the sweep wrote; all zero before the first one.
    pub occupancy: Occupancy,
}

impl Counters {
    /// Opens the pinned maps.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if one is not pinned or has another layout.
    pub fn open(pins: &Pins) -> Result<Self> {
        let size = |map| {
            let layout = pins.layout(map)?.with_context(|| format!("map {map} is not pinned"))?;
            Ok((map, layout.max_entries))
        };
        Ok(Self {
            outcomes: PerCpu::open(pins, "outcomes")?,
            services: PerCpu::open(pins, "svc_stats")?,
            backends: PerCpu::open(pins, "be_stats")?,
            occupancy: pins.map("occupancy")?,
            devices: pins.map("devices")?,
            sizes: SIZED.into_iter().map(size).collect::<Result<_>>()?,
        })
    }

    /// How often each outcome was counted, in the order of their indices. Those that a map of an
    /// earlier version has no room for are not counted.
    ///
    /// # Errors
    ///
    /// Fails if the map cannot be read.
    pub fn outcomes(&self) -> Result<Vec<(Outcome, u64)>> {
        let count = |(id, outcome): (u32, &Outcome)| Ok((*outcome, self.outcomes.read(id)?));
        (0..self.outcomes.map.len()).zip(Outcome::ALL).map(count).collect()
    }

    /// The flow tables of both families.
    ///
    /// # Errors
    ///
    /// Fails if the map cannot be read.
    pub fn flow_tables(&self) -> Result<Vec<FlowTable>> {
        let tables = [(0, Family::V4, "flows4"), (1, Family::V6, "flows6")];
        let table = |(index, family, map)| {
            let occupancy = self.occupancy.get(&index, 0).context("map occupancy")?;
            Ok(FlowTable { family, size: self.size(map), occupancy })
        };
        tables.into_iter().map(table).collect()
    }

    /// What went to and from a service port, by service id.
    ///
    /// # Errors
    ///
    /// Fails if there is no such id.
    pub fn service(&self, id: u32) -> Result<Traffic> {
        self.services.read(id)
    }

    /// What went to and from an endpoint, by backend id.
    ///
    /// # Errors
    ///
    /// Fails if there is no such id.
    pub fn backend(&self, id: u32) -> Result<Traffic> {
        self.backends.read(id)
    }

    /// Entries of `devices`.
    pub fn devices(&self) -> MapUse {
        MapUse { map: "devices", used: self.devices.keys().count() }
    }

    /// How many entries a map can have; 0 for one that is not counted by entries.
    pub fn size(&self, map: &str) -> u32 {
        self.sizes.get(map).copied().unwrap_or_default()
    }
}

/// A per-CPU array, read as the sum over all CPUs.
struct PerCpu<V: Pod> {
    name: &'static str,
    map: PerCpuArray<MapData, V>,
}

impl<V: Pod + Sum> PerCpu<V> {
    fn open(pins: &Pins, name: &'static str) -> Result<Self> {
        Ok(Self { name, map: pins.map(name)? })
    }

    fn read(&self, id: u32) -> Result<V> {
        let values = self.map.get(&id, 0).with_context(|| format!("map {}", self.name))?;
        Ok(values.iter().copied().sum())
    }
}

/// Everything that a scrape shows of the kernel.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) outcomes: Vec<(Outcome, u64)>,
    pub(super) flow_tables: Vec<FlowTable>,
    /// Entries in use and room for them.
    pub(super) maps: Vec<(MapUse, u32)>,
    pub(super) services: Vec<(ServicePort, u16, Traffic)>,
    /// Address, place among `services`, and traffic.
    pub(super) backends: Vec<(std::net::SocketAddr, usize, Traffic)>,
}

impl Sample {
    /// Reads the counters of what is in `inventory`. Blocks for two system calls an id.
    pub(super) fn read(counters: &Counters, inventory: Inventory) -> Result<Self> {
        let maps = inventory.maps.into_iter().chain([counters.devices()]);
        let services = inventory.services.into_iter();
        let services = services.map(|(id, owner, port)| Ok((owner, port, counters.service(id)?)));
        let backends = inventory.backends.into_iter();
        let backends =
            backends.map(|(id, address, place)| Ok((address, place, counters.backend(id)?)));
        Ok(Self {
            outcomes: counters.outcomes()?,
            flow_tables: counters.flow_tables()?,
            maps: maps.map(|used| (used, counters.size(used.map))).collect(),
            services: services.collect::<Result<_>>()?,
            backends: backends.collect::<Result<_>>()?,
        })
    }
}
