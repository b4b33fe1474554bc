//! The kernel's side: tables written to the maps, as an agent would do it, and packets run.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;
use aya::maps::{MapData, PerCpuArray};
use ipnet::IpNet;
use svclb::{
    loader::{Options, Sizes},
    plan::operation::{BackendEntry, Family, FrontendAddress, Operation, Protocol},
};
use svclb_common::{
    filter::Interest,
    flow::Timeouts,
    frontend::{Device, Frontend, Service, Slot, backend_flags, frontend_flags},
    outcome::Outcome,
};

use crate::{
    model::{self, Kind, Net, Place, Set, Tables},
    programs::{self, Action, Programs},
};

/// In place of a service id: pods of this node.
const PODS: u32 = 0;
/// Nothing expires while a script runs.
const FOREVER: u32 = 1_000_000;
/// For how long affinity lasts.
const AFFINITY: u32 = 1_000_000;

/// The programs and what their maps hold.
pub(super) struct Kernel {
    programs: Programs,
    counters: PerCpuArray<MapData, u64>,
    counted: Vec<u64>,
    written: Written,
    backends: BTreeMap<(u32, SocketAddr), u32>,
    slots: u32,
    next_slot: u32,
}

/// What the maps hold.
#[derive(Default)]
struct Written {
    frontends: BTreeMap<FrontendAddress, Frontend>,
    services: BTreeMap<u32, (Vec<u32>, Vec<u32>, u32)>,
    backends: BTreeMap<u32, BackendEntry>,
    sources: BTreeSet<(u32, IpNet)>,
}

impl Kernel {
    /// Loads the programs.
    ///
    /// # Errors
    /// As [`Programs::load`].
    pub(super) fn load((first, last): (u16, u16), hash_seed: u32) -> Result<Self> {
        let sizes =
            Sizes { frontends: 256, services: 256, slots: 65_536, backends: 1024, flows: 32_768 };
        let timeouts = Timeouts {
            tcp_opening: FOREVER,
            tcp_answered: FOREVER,
            tcp_established: FOREVER,
            tcp_closing: FOREVER,
            tcp_closed: FOREVER,
            udp_opening: FOREVER,
            udp_established: FOREVER,
            sctp_opening: FOREVER,
            sctp_established: FOREVER,
            sctp_closing: FOREVER,
            sctp_closed: FOREVER,
        };
        let masquerade_ports = first..=last;
        let options =
            Options { sizes, timeouts, masquerade_ports, hash_seed, ..Options::default() };
        let programs = Programs::load(options)?;
        let counters = programs.pins().map("outcomes")?;
        Ok(Self {
            programs,
            counters,
            counted: vec![0; Outcome::ALL.len()],
            written: Written::default(),
            backends: BTreeMap::new(),
            slots: sizes.slots,
            next_slot: 0,
        })
    }

    /// Runs a hook on a frame.
    pub(super) fn run(&self, place: Place, frame: &[u8]) -> (Action, Vec<u8>) {
        let hook = match place.hook {
            model::Hook::Ingress => programs::Hook::Ingress,
            model::Hook::Egress => programs::Hook::Egress,
        };
        self.programs.run_on(hook, place.device, frame)
    }

    /// What was counted since the last call.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub(super) fn counted(&mut self) -> Result<Vec<Outcome>> {
        let mut new = Vec::new();
        for outcome in Outcome::ALL {
            let total = self.counters.get(&(*outcome as u32), 0)?.iter().sum();
            let before = std::mem::replace(&mut self.counted[*outcome as usize], total);
            new.extend((before..total).map(|_| *outcome));
        }
        Ok(new)
    }

    /// Makes the maps say what the tables say, in the order of an agent: whoever is named is there.
    pub(super) fn write(&mut self, tables: &Tables) {
        let watch = |ips: &BTreeSet<IpAddr>, interest| {
            ips.iter().map(|ip| Operation::Watch(*ip, interest)).collect::<Vec<_>>()
        };
        let watched = watch(&tables.asked, Interest::Frontend);
        self.all(watched.into_iter().chain(watch(&tables.answering, Interest::Backend)));
        self.node(tables);
        let new = self.render(tables);
        let old = std::mem::take(&mut self.written);
        self.all(added(&old.backends, &new.backends, |id, entry| Operation::SetBackend(*id, *entry))
            .filter(|operation| matches!(operation, Operation::SetBackend(_, entry) if entry.flags & backend_flags::SERVING != 0))
            .collect::<Vec<_>>());
        self.all(
            new.sources
                .difference(&old.sources)
                .map(|(id, net)| Operation::AddSource(*id, *net))
                .collect::<Vec<_>>(),
        );
        for (id, service) in &new.services {
            if old.services.get(id) != Some(service) {
                self.switch(*id, service);
            }
        }
        self.all(
            added(&old.frontends, &new.frontends, |at, frontend| {
                Operation::SetFrontend(*at, *frontend)
            })
            .collect::<Vec<_>>(),
        );
        self.all(gone(&old.frontends, &new.frontends, |at, _| Operation::RemoveFrontend(*at)));
        self.all(gone(&old.services, &new.services, |id, _| Operation::RemoveService(*id)));
        self.all(
            added(&old.backends, &new.backends, |id, entry| Operation::SetBackend(*id, *entry))
                .collect::<Vec<_>>(),
        );
        self.all(gone(&old.backends, &new.backends, |id, entry| {
            Operation::RemoveBackend(*id, Family::of(entry.address.ip()))
        }));
        self.all(
            old.sources
                .difference(&new.sources)
                .map(|(id, net)| Operation::RemoveSource(*id, *net))
                .collect::<Vec<_>>(),
        );
        self.written = new;
    }

    fn all(&mut self, operations: impl IntoIterator<Item = Operation>) {
        for operation in operations {
            self.programs.apply(operation);
        }
    }

    fn node(&mut self, tables: &Tables) {
        let mut device = Device::default();
        for ip in tables.masquerade.values() {
            match ip {
                IpAddr::V4(ip) => device.masq4 = (*ip).into(),
                IpAddr::V6(ip) => device.masq6 = (*ip).into(),
            }
        }
        self.programs.node(&tables.node, device);
    }

    /// Writes a service's slots to a new place, and switches to them.
    fn switch(&mut self, id: u32, (cluster, local, affinity): &(Vec<u32>, Vec<u32>, u32)) {
        let all: Vec<Slot> = cluster
            .iter()
            .chain(local)
            .map(|backend| Slot { backend: *backend, service: id })
            .collect();
        if self.next_slot + all.len() as u32 > self.slots {
            self.next_slot = 0;
        }
        let service = Service {
            first_slot: self.next_slot,
            slots: cluster.len() as u32,
            first_local: self.next_slot + cluster.len() as u32,
            local_slots: local.len() as u32,
            affinity: *affinity,
            ..Service::default()
        };
        self.programs.apply(Operation::SetSlots(self.next_slot, all));
        self.programs.apply(Operation::SetService(id, service));
        self.next_slot += service.slots + service.local_slots;
    }

    fn render(&mut self, tables: &Tables) -> Written {
        let mut written = Written::default();
        for ((address, protocol), frontend) in &tables.frontends {
            let at = FrontendAddress::Address(*address, number(*protocol));
            written.frontends.insert(at, render_frontend(tables, *frontend));
        }
        for ((v4, port, protocol), frontend) in &tables.node_ports {
            let family = if *v4 { Family::V4 } else { Family::V6 };
            let at = FrontendAddress::NodePort(family, *port, number(*protocol));
            written.frontends.insert(at, render_frontend(tables, *frontend));
        }
        for (id, service) in &tables.services {
            self.render_service(*id, service, protocol_of(tables, *id), &mut written);
        }
        written.sources.extend(tables.pods.iter().map(|net| (PODS, range(net))));
        written
    }

    fn render_service(
        &mut self,
        id: u32,
        service: &model::Service,
        protocol: Protocol,
        written: &mut Written,
    ) {
        let (cluster, local) = (service.serving(Set::Cluster), service.serving(Set::Local));
        for endpoint in &service.endpoints {
            let flag = |is: bool, flag: u8| if is { flag } else { 0 };
            let (of_all, of_here) =
                (cluster.contains(&endpoint.address), local.contains(&endpoint.address));
            let flags = flag(of_all || of_here, backend_flags::SERVING)
                | flag(endpoint.here, backend_flags::LOCAL)
                | flag(of_here && !of_all, backend_flags::LOCAL_ONLY);
            let entry =
                BackendEntry { address: endpoint.address, protocol, service: id, flags, weight: 1 };
            let backend = self.backend(id, endpoint.address);
            written.backends.insert(backend, entry);
        }
        let mut ids = |set: &[SocketAddr]| -> Vec<u32> {
            set.iter().map(|address| self.backend(id, *address)).collect()
        };
        let affinity = if service.affinity { AFFINITY } else { 0 };
        written.services.insert(id, (ids(&cluster), ids(&local), affinity));
        let ranges = service.source_ranges.iter().map(|net| (id, range(net)));
        written.sources.extend(ranges);
    }

    /// An endpoint's id, the same whenever it comes back.
    fn backend(&mut self, service: u32, address: SocketAddr) -> u32 {
        let next = self.backends.len() as u32 + 1;
        *self.backends.entry((service, address)).or_insert(next)
    }
}

fn protocol_of(tables: &Tables, service: u32) -> Protocol {
    let of = |(protocol, frontend): (model::Protocol, &model::Frontend)| {
        (frontend.service == service).then_some(number(protocol))
    };
    let at_addresses = tables.frontends.iter().map(|((_, protocol), f)| (*protocol, f));
    let at_node = tables.node_ports.iter().map(|((_, _, protocol), f)| (*protocol, f));
    at_addresses.chain(at_node).find_map(of).unwrap_or(Protocol::Tcp)
}

fn render_frontend(tables: &Tables, frontend: model::Frontend) -> Frontend {
    let flag = |is: bool, flag: u32| if is { flag } else { 0 };
    let service = tables.services.get(&frontend.service);
    let is_local = service.is_some_and(|service| service.is_local(frontend.kind));
    let guarded = frontend.kind == Kind::LoadBalancer
        && service.is_some_and(|service| !service.source_ranges.is_empty());
    let flags = flag(frontend.is_external(), frontend_flags::EXTERNAL)
        | flag(is_local, frontend_flags::LOCAL)
        | flag(guarded, frontend_flags::GUARDED);
    Frontend { service: frontend.service, flags }
}

fn number(protocol: model::Protocol) -> Protocol {
    match protocol {
        model::Protocol::Tcp => Protocol::Tcp,
        model::Protocol::Udp => Protocol::Udp,
        model::Protocol::Sctp => Protocol::Sctp,
    }
}

fn range(net: &Net) -> IpNet {
    IpNet::new(net.ip, net.prefix).expect("prefixes fit their family").trunc()
}

/// What is new, or has changed.
fn added<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
    operation: impl Fn(&K, &V) -> Operation + 'a,
) -> impl Iterator<Item = Operation> + 'a {
    let changed = new.iter().filter(|(key, value)| old.get(key) != Some(value));
    changed.map(move |(key, value)| operation(key, value))
}

/// What is there no more.
fn gone<K: Ord, V>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    operation: impl Fn(&K, &V) -> Operation,
) -> Vec<Operation> {
    let left = old.iter().filter(|(key, _)| !new.contains_key(key));
    left.map(|(key, value)| operation(key, value)).collect()
}
