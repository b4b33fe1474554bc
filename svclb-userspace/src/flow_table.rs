//! The kernel's flow records, read from outside: for `svclb get flows`, and to know which
//! backends and addresses running flows still need.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use aya::{
    Pod,
    maps::{Array, MapData},
};
use nix::time::{ClockId, clock_gettime};
use svclb_common::{
    address::{Address, V4, V6},
    flow::{Facts, Flow},
};

use crate::{
    pins::Pins,
    plan::{LiveFlows, operation::Family},
};

/// A flow, whatever its family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowRecord {
    /// Who asked.
    pub client: SocketAddr,
    /// What was asked.
    pub frontend: SocketAddr,
    /// Who answers.
    pub backend: SocketAddr,
    /// The node's address and port that stand for the client; `None` without masquerade.
    pub masquerade: Option<SocketAddr>,
    /// The client's port between the hooks.
    pub between_port: u16,
    /// All else.
    pub facts: Facts,
}

impl FlowRecord {
    /// A record as the kernel holds it; `None` if it is free.
    fn of<A: Address>(flow: &Flow<A>) -> Option<Self> {
        let facts = flow.facts;
        let end = |address: A, port| SocketAddr::new(address.to_ip(), port);
        (facts.protocol != 0).then(|| Self {
            client: end(flow.client, flow.client_port),
            frontend: end(flow.frontend, flow.frontend_port),
            backend: end(flow.backend, flow.backend_port),
            masquerade: (facts.masq_port != 0).then(|| end(flow.masq, facts.masq_port)),
            between_port: flow.between_port,
            facts,
        })
    }

    /// The addresses that the packet path has to look at for this flow.
    fn watched(&self) -> impl Iterator<Item = IpAddr> {
        let ends = [Some(self.frontend), Some(self.backend), self.masquerade];
        ends.into_iter().flatten().map(|end| end.ip())
    }
}

/// The flow tables of both families.
pub struct FlowTable {
    v4: Array<MapData, Flow<V4>>,
    v6: Array<MapData, Flow<V6>>,
}

impl FlowTable {
    /// Opens the pinned maps.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if one is not pinned.
    pub fn open(pins: &Pins) -> Result<Self> {
        Ok(Self { v4: pins.map("flows4")?, v6: pins.map("flows6")? })
    }

    /// How many flows fit, per family.
    pub fn capacity(&self) -> u32 {
        self.v4.len()
    }

    /// All flows, IPv4 first. Blocks for one system call a record. A record that changes meanwhile
    /// may be seen half changed.
    ///
    /// # Errors
    ///
    /// Yields an error, naming the map, for a record that cannot be read.
    pub fn iter(&self) -> impl Iterator<Item = Result<FlowRecord>> {
        records("flows4", &self.v4).chain(records("flows6", &self.v6))
    }

    /// The flow in the record with this number; `None` if the record is free.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if there is no such record.
    pub fn get(&self, family: Family, number: u32) -> Result<Option<FlowRecord>> {
        match family {
            Family::V4 => record("flows4", &self.v4, number),
            Family::V6 => record("flows6", &self.v6, number),
        }
    }

    /// What running flows refer to.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if a record cannot be read.
    pub fn live(&self) -> Result<LiveFlows> {
        let mut live = LiveFlows::default();
        for flow in self.iter() {
            let flow = flow?;
            live.backends.insert(flow.facts.backend_id);
            live.addresses.extend(flow.watched());
        }
        Ok(live)
    }
}

fn records<A: Address>(
    name: &'static str,
    map: &Array<MapData, Flow<A>>,
) -> impl Iterator<Item = Result<FlowRecord>>
where
    Flow<A>: Pod,
{
    map.iter().filter_map(move |flow| match flow {
        Ok(flow) => FlowRecord::of(&flow).map(Ok),
        Err(error) => Some(Err(error).with_context(|| format!("map {name}"))),
    })
}

fn record<A: Address>(
    name: &'static str,
    map: &Array<MapData, Flow<A>>,
    number: u32,
) -> Result<Option<FlowRecord>>
where
    Flow<A>: Pod,
{
    let flow = map.get(&number, 0).with_context(|| format!("map {name}, record {number}"))?;
    Ok(FlowRecord::of(&flow))
}

/// The clock of flow records and events: nanoseconds since the system started, without sleep.
///
/// # Errors
///
/// Fails if the kernel has no such clock.
pub fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("read CLOCK_MONOTONIC")?;
    let (seconds, nanoseconds) = (now.tv_sec().cast_unsigned(), now.tv_nsec().cast_unsigned());
    Ok(seconds * 1_000_000_000 + nanoseconds)
}

#[cfg(test)]
mod tests {
    use svclb_common::tuple::TCP;

    use super::*;

    fn flow(masq_port: u16, protocol: u8) -> Flow<V4> {
        let ip = |last| V4 { ip: [192, 0, 2, last] };
        let facts = Facts { masq_port, protocol, ..Facts::default() };
        Flow {
            lock: 0,
            facts,
            client: ip(1),
            frontend: ip(2),
            backend: ip(3),
            masq: ip(4),
            client_port: 1,
            frontend_port: 2,
            backend_port: 3,
            between_port: 4,
        }
    }

    #[test]
    fn a_free_record_is_no_flow() {
        assert_eq!(FlowRecord::of(&flow(0, 0)), None);
    }

    #[test]
    fn a_flow_needs_all_addresses_but_the_clients() {
        let watched = |masq_port| -> Vec<String> {
            let record = FlowRecord::of(&flow(masq_port, TCP)).expect("in use");
            record.watched().map(|ip| ip.to_string()).collect()
        };
        assert_eq!(watched(0), ["192.0.2.2", "192.0.2.3"]);
        assert_eq!(watched(9), ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    }
}
