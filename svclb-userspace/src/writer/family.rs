//! The maps that exist once for each address family.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::Result;
use aya::{
    Pod,
    maps::{
        Array, HashMap, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
};
use ipnet::IpNet;
use svclb_common::{
    address::{Address, V4, V6},
    frontend::{Backend, Frontend, FrontendKey, Source},
};

use super::{WriteError, convert, maps::ignore_missing};
use crate::{
    pins::Pins,
    plan::{
        Operation,
        kernel::KernelState,
        operation::{BackendEntry, FrontendAddress},
    },
};

/// An address family and the names of its maps.
pub(crate) trait MapNames: Address + Pod {
    const FRONTENDS: &'static str;
    const BACKENDS: &'static str;
    const NODE_ADDRESSES: &'static str;
    const SOURCES: &'static str;
    const SERVICE_CIDRS: &'static str;
}

impl MapNames for V4 {
    const FRONTENDS: &'static str = "frontends4";
    const BACKENDS: &'static str = "backends4";
    const NODE_ADDRESSES: &'static str = "node_addrs4";
    const SOURCES: &'static str = "sources4";
    const SERVICE_CIDRS: &'static str = "service_cidrs4";
}

impl MapNames for V6 {
    const FRONTENDS: &'static str = "frontends6";
    const BACKENDS: &'static str = "backends6";
    const NODE_ADDRESSES: &'static str = "node_addrs6";
    const SOURCES: &'static str = "sources6";
    const SERVICE_CIDRS: &'static str = "service_cidrs6";
}

pub(super) struct FamilyMaps<A>
where
    Backend<A>: Pod,
    Source<A>: Pod,
{
    frontends: HashMap<MapData, FrontendKey<A>, Frontend>,
    backends: Array<MapData, Backend<A>>,
    node_addresses: HashMap<MapData, A, u32>,
    sources: LpmTrie<MapData, Source<A>, u32>,
    service_cidrs: LpmTrie<MapData, A, u32>,
}

impl<A: MapNames> FamilyMaps<A>
where
    FrontendKey<A>: Pod,
    Backend<A>: Pod,
    Source<A>: Pod,
{
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        Ok(Self {
            frontends: pins.map(A::FRONTENDS)?,
            backends: pins.map(A::BACKENDS)?,
            node_addresses: pins.map(A::NODE_ADDRESSES)?,
            sources: pins.map(A::SOURCES)?,
            service_cidrs: pins.map(A::SERVICE_CIDRS)?,
        })
    }

    /// Sets or removes a frontend of this family; another family's is left alone.
    pub(super) fn set_frontend(
        &mut self,
        address: &FrontendAddress,
        frontend: Option<Frontend>,
    ) -> Result<(), WriteError> {
        let Some(key) = convert::frontend_key::<A>(address) else { return Ok(()) };
        let done = match frontend {
            Some(frontend) => self.frontends.insert(key, frontend, 0),
            None => ignore_missing(self.frontends.remove(&key)),
        };
        done.map_err(|error| WriteError::new(A::FRONTENDS, error))
    }

    /// Adds or removes a range of clients of this family; another family's is left alone.
    pub(super) fn set_source(
        &mut self,
        service: u32,
        range: IpNet,
        present: bool,
    ) -> Result<(), WriteError> {
        let Some((prefix, source)) = convert::source::<A>(service, range) else { return Ok(()) };
        let key = Key::new(prefix, source);
        set_range(&mut self.sources, &key, present)
            .map_err(|error| WriteError::new(A::SOURCES, error))
    }

    /// Adds or removes a range of ClusterIPs of this family; another family's is left alone.
    pub(super) fn set_service_cidr(
        &mut self,
        range: IpNet,
        present: bool,
    ) -> Result<(), WriteError> {
        let Some(address) = A::from_ip(range.network()) else { return Ok(()) };
        let key = Key::new(range.prefix_len().into(), address);
        set_range(&mut self.service_cidrs, &key, present)
            .map_err(|error| WriteError::new(A::SERVICE_CIDRS, error))
    }

    /// Sets or zeroes a backend.
    pub(super) fn set_backend(
        &mut self,
        id: u32,
        entry: Option<&BackendEntry>,
    ) -> Result<(), WriteError> {
        let backend = entry.and_then(convert::backend).unwrap_or_else(convert::no_backend);
        self.backends.set(id, backend, 0).map_err(|error| WriteError::new(A::BACKENDS, error))
    }

    pub(super) fn node_addresses(&self) -> Result<BTreeMap<IpAddr, u32>, WriteError> {
        let entry = |(address, flags): (A, u32)| (address.to_ip(), flags);
        let entries = self.node_addresses.iter().map(|known| known.map(entry));
        entries.collect::<Result<_, _>>().map_err(|error| WriteError::new(A::NODE_ADDRESSES, error))
    }

    pub(super) fn set_node_address(&mut self, ip: IpAddr, flags: u32) -> Result<(), WriteError> {
        let Some(address) = A::from_ip(ip) else { return Ok(()) };
        let set = self.node_addresses.insert(address, flags, 0);
        set.map_err(|error| WriteError::new(A::NODE_ADDRESSES, error))
    }

    pub(super) fn remove_node_address(&mut self, ip: IpAddr) -> Result<(), WriteError> {
        let Some(address) = A::from_ip(ip) else { return Ok(()) };
        let removed = ignore_missing(self.node_addresses.remove(&address));
        removed.map_err(|error| WriteError::new(A::NODE_ADDRESSES, error))
    }

    /// Adds the frontends, ranges and backends of this family to `state`.
    pub(super) fn read(&self, state: &mut KernelState) -> Result<(), WriteError> {
        for entry in self.frontends.iter() {
            let (key, frontend) = entry.map_err(|error| WriteError::new(A::FRONTENDS, error))?;
            let address = convert::frontend_address(&key);
            state.frontends.extend(address.map(|address| (address, frontend)));
        }
        for key in self.sources.keys() {
            let key = key.map_err(|error| WriteError::new(A::SOURCES, error))?;
            let Some(range) = convert::source_range(key.prefix_len(), &key.data()) else {
                continue;
            };
            state.apply(&Operation::AddSource(key.data().service, range));
        }
        for key in self.service_cidrs.keys() {
            let key = key.map_err(|error| WriteError::new(A::SERVICE_CIDRS, error))?;
            let range = convert::range(key.prefix_len(), &key.data());
            state.service_cidrs.extend(range);
        }
        for (id, backend) in (0..).zip(self.backends.iter()) {
            let backend = backend.map_err(|error| WriteError::new(A::BACKENDS, error))?;
            state.backends.extend(convert::backend_entry(&backend).map(|entry| (id, entry)));
        }
        Ok(())
    }
}

/// Makes a range an entry of a map, or none.
fn set_range<K: Pod>(
    map: &mut LpmTrie<MapData, K, u32>,
    key: &Key<K>,
    present: bool,
) -> Result<(), MapError> {
    if present { map.insert(key, 1, 0) } else { ignore_missing(map.remove(key)) }
}
