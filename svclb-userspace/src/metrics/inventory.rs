//! What the maps hold, as far as metrics want to know: counted where the agent's own picture of
//! them is, which costs no system call.

use std::net::SocketAddr;

use crate::{
    config::PerService,
    plan::{
        kernel::KernelState,
        operation::{Family, ServicePort},
    },
};

/// How many entries of a map are in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapUse {
    /// The map's name.
    pub map: &'static str,
    /// Entries in use.
    pub used: usize,
}

/// Names of ids, and how full the maps are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Inventory {
    /// Entries of the maps that the agent writes.
    pub maps: Vec<MapUse>,
    /// Service ids with owner and port number, if traffic is wanted by service.
    pub services: Vec<(u32, ServicePort, u16)>,
    /// Backend ids with address and place among `services`, if traffic is wanted by endpoint.
    pub backends: Vec<(u32, SocketAddr, usize)>,
}

impl Inventory {
    /// Of what the maps hold, as fine as it is wanted.
    pub fn of(kernel: &KernelState, detail: PerService) -> Self {
        let mut inventory = Self { maps: MapUse::all(kernel), ..Self::default() };
        if detail >= PerService::Service {
            let names = kernel.names.iter();
            inventory.services =
                names.map(|(id, (owner, port))| (*id, owner.clone(), *port)).collect();
        }
        if detail >= PerService::Backend {
            let place = |id| inventory.services.binary_search_by_key(&id, |(id, ..)| *id).ok();
            let named = kernel
                .backends
                .iter()
                .filter_map(|(id, backend)| Some((*id, backend.address, place(backend.service)?)));
            inventory.backends = named.collect();
        }
        inventory
    }
}

impl MapUse {
    /// Of the maps that the agent writes, in the order of the README's table.
    pub fn all(kernel: &KernelState) -> Vec<Self> {
        let frontends = |family| kernel.frontends.keys().filter(|f| f.family() == family).count();
        let backends = |family| {
            kernel.backends.values().filter(|b| Family::of(b.address.ip()) == family).count()
        };
        let slots = kernel.services.values().map(|service| service.slots + service.local_slots);
        let slots = slots.map(|slots| slots as usize).sum();
        [
            ("frontends4", frontends(Family::V4)),
            ("frontends6", frontends(Family::V6)),
            ("services", kernel.names.len()),
            ("slots", slots),
            ("backends4", backends(Family::V4)),
            ("backends6", backends(Family::V6)),
        ]
        .map(|(map, used)| Self { map, used })
        .into()
    }
}

#[cfg(test)]
mod tests {
    use svclb_common::frontend::Service;

    use super::*;
    use crate::plan::operation::{BackendEntry, Operation, Protocol};

    fn kernel() -> KernelState {
        let owner = ServicePort {
            namespace: "ns".into(),
            name: "web".into(),
            port_name: "http".into(),
            protocol: Protocol::Tcp,
            family: Family::V4,
        };
        let backend = |service, last: u8| BackendEntry {
            address: format!("10.0.0.{last}:80").parse().expect("address"),
            protocol: Protocol::Tcp,
            service,
            flags: 0,
            weight: 1,
        };
        let mut kernel = KernelState::default();
        for operation in [
            Operation::SetName(7, owner, 80),
            Operation::SetBackend(1, backend(7, 1)),
            Operation::SetBackend(2, backend(9, 2)),
        ] {
            kernel.apply(&operation);
        }
        let service = Service { slots: 3, ..Service::default() };
        kernel.services.insert(7, service);
        kernel
    }

    #[test]
    fn the_switch_bounds_what_is_listed() {
        let listed = |detail| {
            let inventory = Inventory::of(&kernel(), detail);
            (inventory.services.len(), inventory.backends.len())
        };
        assert_eq!(listed(PerService::Off), (0, 0));
        assert_eq!(listed(PerService::Service), (1, 0));
        // The second endpoint's service has no name any more: nobody could tell whose it is.
        assert_eq!(listed(PerService::Backend), (1, 1));
    }

    #[test]
    fn entries_are_counted_by_map() {
        let used = |map| {
            let all = MapUse::all(&kernel());
            all.iter().find(|entry| entry.map == map).map(|entry| entry.used)
        };
        assert_eq!(used("services"), Some(1));
        assert_eq!(used("slots"), Some(3));
        assert_eq!((used("backends4"), used("backends6")), (Some(2), Some(0)));
    }
}
