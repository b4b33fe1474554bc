//! A node's pinned maps, read as the kernel programs read them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{Array, HashMap, MapData},
};
use svclb::{flow_table::FlowTable, pins::Pins};
use svclb_common::{
    address::{Address, V4, V6},
    flow::State,
    frontend::{Backend, Service, Slot},
    names::{Owner, chars},
};

/// The maps of one node, and one service port in them.
pub(crate) struct Kernel {
    services: Array<MapData, Service>,
    slots: Array<MapData, Slot>,
    backends4: Array<MapData, Backend<V4>>,
    backends6: Array<MapData, Backend<V6>>,
    flows: FlowTable,
    ids: [u32; 2],
}

impl Kernel {
    /// The maps that are pinned on this bpffs, and the service port of that name.
    ///
    /// # Errors
    /// A map is not pinned, or the service is not there in both families.
    pub(crate) fn open(bpffs: &Path, service: &str, port: &str) -> Result<Self> {
        let pins = Pins::on(bpffs)?;
        let names: HashMap<MapData, u32, Owner> = pins.map("names")?;
        let id = |family| {
            let is = |text: &[i8], expected: &str| chars(text).eq(expected.chars());
            let found = names.iter().filter_map(Result::ok).find(|(_, owner)| {
                owner.family == family && is(&owner.name, service) && is(&owner.port_name, port)
            });
            found.map(|(id, _)| id).with_context(|| format!("no {service}:{port} over IPv{family}"))
        };
        Ok(Self {
            services: pins.map("services")?,
            slots: pins.map("slots")?,
            backends4: pins.map("backends4")?,
            backends6: pins.map("backends6")?,
            flows: FlowTable::open(&pins)?,
            ids: [id(4)?, id(6)?],
        })
    }

    /// The endpoints of both families that the kernel chooses from, now, for new flows.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub(crate) fn endpoints(&self) -> Result<BTreeSet<SocketAddr>> {
        let [v4, v6] = self.ids;
        let mut endpoints = self.of(v4, &self.backends4)?;
        endpoints.append(&mut self.of(v6, &self.backends6)?);
        Ok(endpoints)
    }

    /// How many flows to a backend's addresses are still open.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub(crate) fn open_flows(&self, backend: [IpAddr; 2]) -> Result<usize> {
        let mut open = 0;
        for flow in self.flows.iter() {
            let flow = flow?;
            let is_open = flow.facts.state() != State::Closed;
            open += usize::from(is_open && backend.contains(&flow.backend.ip()));
        }
        Ok(open)
    }

    fn of<A: Address>(
        &self,
        service: u32,
        backends: &Array<MapData, Backend<A>>,
    ) -> Result<BTreeSet<SocketAddr>>
    where
        Backend<A>: Pod,
    {
        let Service { first_slot, slots, .. } = self.services.get(&service, 0)?;
        let mut endpoints = BTreeSet::new();
        for place in first_slot..first_slot + slots {
            let backend = backends.get(&self.slots.get(&place, 0)?.backend, 0)?;
            endpoints.insert((backend.address.to_ip(), backend.port).into());
        }
        Ok(endpoints)
    }
}
