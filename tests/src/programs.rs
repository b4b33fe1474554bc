//! The kernel programs on single packets (`BPF_PROG_TEST_RUN`): loaded and filled by the agent's
//! own code, on a bpffs of their own.

mod cable;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use anyhow::Result;
use aya::{
    maps::{PerCpuArray, PerCpuValues},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};
use ipnet::IpNet;
use svclb::{
    loader::{self, Loaded, Options, Sizes, program},
    pins::Pins,
    plan::operation::{BackendEntry, Family, FrontendAddress, Operation, Protocol, ServicePort},
    writer::{MapWriter as _, maps::KernelMaps},
};
use svclb_common::{
    address::{Address as _, V4, V6},
    filter::Interest,
    frontend::{
        Device, Frontend, Service, Slot, Source, backend_flags, frontend_flags, node_flags,
    },
    layout::size::SWEEP_STRIDE,
    limit::Limit,
    outcome::Outcome,
    sweep,
};

pub use cable::Cable;
pub use policies::Sets;

use crate::lab::place::Place;

/// What a hook does with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// On to the next program and the kernel.
    Next,
    /// Dropped.
    Drop,
    /// Sent back the way it came.
    Back,
}

/// Which program is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// Ingress of a device with Ethernet headers.
    Ingress,
    /// Egress of a device with Ethernet headers.
    Egress,
}

/// The programs, loaded, with their maps.
pub struct Programs {
    loaded: Loaded,
    maps: KernelMaps,
    pins: Pins,
    next_service: u32,
    next_backend: u32,
    next_slot: u32,
    place: Place,
}

/// Length and fields of `struct __sk_buff`.
const CONTEXT: usize = 192;
const IFINDEX: Range<usize> = 40..44;
const SCRATCH: Range<usize> = 48..68;

/// A service as the maps hold it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Service id.
    pub id: u32,
    /// Backend ids, in the order of the endpoints.
    pub backends: Vec<u32>,
    endpoints: Vec<(SocketAddr, bool)>,
    protocol: Protocol,
}

impl Programs {
    /// Loads the programs with small maps.
    ///
    /// # Errors
    /// If the kernel refuses anything, or without root.
    pub fn load(options: Options) -> Result<Self> {
        let place = Place::unique()?;
        let pins = Pins::on(&place.bpffs("programs")?)?;
        let loaded = loader::load(&pins, &options)?;
        let maps = KernelMaps::open(&pins)?;
        Ok(Self { loaded, maps, pins, next_service: 1, next_backend: 1, next_slot: 0, place })
    }

    /// Options with maps small enough to be made in a moment.
    pub fn options() -> Options {
        let sizes = Sizes { frontends: 64, services: 64, slots: 1024, backends: 1024, flows: 1024 };
        Options { sizes, ..Options::default() }
    }

    /// Adds a service at an address of its own; endpoints are (address, is on this node).
    pub fn cluster_ip(
        &mut self,
        vip: SocketAddr,
        protocol: Protocol,
        endpoints: &[(SocketAddr, bool)],
    ) -> Placed {
        self.address(vip, protocol, endpoints, 0)
    }

    /// The same at an external address.
    pub fn external_ip(
        &mut self,
        vip: SocketAddr,
        protocol: Protocol,
        endpoints: &[(SocketAddr, bool)],
    ) -> Placed {
        self.address(vip, protocol, endpoints, frontend_flags::EXTERNAL)
    }

    fn address(
        &mut self,
        vip: SocketAddr,
        protocol: Protocol,
        endpoints: &[(SocketAddr, bool)],
        flags: u32,
    ) -> Placed {
        let placed = self.place(Family::of(vip.ip()), vip.port(), protocol, endpoints);
        self.apply(Operation::Watch(vip.ip(), Interest::Frontend));
        let frontend = Frontend { service: placed.id, flags };
        for address in [FrontendAddress::Address(vip, protocol), FrontendAddress::Vip(vip.ip())] {
            self.apply(Operation::SetFrontend(address, frontend));
        }
        placed
    }

    /// Adds a service at a port of every address of the node.
    pub fn node_port(
        &mut self,
        node: SocketAddr,
        protocol: Protocol,
        endpoints: &[(SocketAddr, bool)],
    ) -> Placed {
        let family = Family::of(node.ip());
        let placed = self.place(family, node.port(), protocol, endpoints);
        self.node_address(node.ip());
        let frontend = Frontend { service: placed.id, flags: frontend_flags::EXTERNAL };
        let address = FrontendAddress::NodePort(family, node.port(), protocol);
        self.apply(Operation::SetFrontend(address, frontend));
        placed
    }

    /// Says that ClusterIPs are given out from `range`, which lies within a /16 or a /48.
    pub fn service_cidr(&mut self, range: IpNet) {
        let (v4, v6) = (|ip| V4::from(ip).block().to_ip(), |ip| V6::from(ip).block().to_ip());
        let block = match range.network() {
            IpAddr::V4(ip) => v4(ip),
            IpAddr::V6(ip) => v6(ip),
        };
        self.apply(Operation::Watch(block, Interest::Frontend));
        self.apply(Operation::AddServiceCidr(range));
    }

    /// Makes `ip` an address of the node where NodePorts answer, and the one that masquerading takes.
    pub fn node_address(&mut self, ip: IpAddr) {
        let mut device = Device::default();
        match ip {
            IpAddr::V4(ip) => device.masq4 = ip.into(),
            IpAddr::V6(ip) => device.masq6 = ip.into(),
        }
        self.node(&[ip].into(), device);
    }

    /// Gives the node these addresses, where NodePorts answer, and those to masquerade with that
    /// `device` has.
    pub fn node(&mut self, addresses: &BTreeSet<IpAddr>, device: Device) {
        let flags = node_flags::OWN | node_flags::NODE_PORTS;
        self.node_addresses(&addresses.iter().map(|ip| (*ip, flags)).collect());
        self.device(0, device);
    }

    /// Gives the node these addresses and no others, with bits of [`node_flags`].
    pub fn node_addresses(&mut self, addresses: &BTreeMap<IpAddr, u32>) {
        self.maps.set_node_addresses(addresses).expect("node_addrs is writable");
        for ip in addresses.keys() {
            self.apply(Operation::Watch(*ip, Interest::Frontend));
        }
    }

    /// Says what a device is.
    pub fn device(&mut self, ifindex: u32, device: Device) {
        let mut devices: aya::maps::HashMap<_, u32, _> =
            self.pins.map("devices").expect("devices is pinned");
        devices.insert(ifindex, device, 0).expect("devices is writable");
    }

    /// Says that clients of this range are inside, and those of the whole family are known to be
    /// inside or outside.
    pub fn detect(&mut self, inside: Option<IpNet>, everybody: IpNet) {
        let ranges = [(Source::<V4>::PODS, inside), (Source::<V4>::DETECTED, Some(everybody))];
        for (id, range) in ranges {
            range.into_iter().for_each(|range| self.apply(Operation::AddSource(id, range)));
        }
    }

    /// Says that an endpoint of this node takes new flows again.
    pub fn serve(&mut self, placed: &Placed, endpoint: usize) {
        self.set_backend(placed, endpoint, backend_flags::SERVING | backend_flags::LOCAL);
    }

    /// Says that an endpoint no longer takes new flows.
    pub fn stop_serving(&mut self, placed: &Placed, endpoint: usize) {
        self.set_backend(placed, endpoint, 0);
    }

    /// Says that an endpoint is not listed any more.
    pub fn vanish(&mut self, placed: &Placed, endpoint: usize) {
        self.set_backend(placed, endpoint, backend_flags::VANISHED);
    }

    fn set_backend(&mut self, placed: &Placed, endpoint: usize, flags: u8) {
        let entry = entry(placed.id, placed.protocol, placed.endpoints[endpoint], flags);
        self.apply(Operation::SetBackend(placed.backends[endpoint], entry));
    }

    /// Gives a service the endpoints with these numbers and no others.
    pub fn switch(&mut self, placed: &Placed, endpoints: &[usize]) {
        let slot = |i: &usize| Slot { backend: placed.backends[*i], service: placed.id };
        let slots: Vec<Slot> = endpoints.iter().map(slot).collect();
        self.write_slots(placed.id, slots);
    }

    fn place(
        &mut self,
        family: Family,
        port: u16,
        protocol: Protocol,
        endpoints: &[(SocketAddr, bool)],
    ) -> Placed {
        let id = self.next_service;
        self.next_service += 1;
        let owner = ServicePort {
            namespace: "default".into(),
            name: format!("service-{id}"),
            port_name: String::new(),
            protocol,
            family,
        };
        self.apply(Operation::SetName(id, owner, port));
        let mut backends = Vec::new();
        for endpoint in endpoints {
            let backend = self.next_backend;
            self.next_backend += 1;
            self.apply(Operation::Watch(endpoint.0.ip(), Interest::Backend));
            self.apply(Operation::SetBackend(
                backend,
                entry(id, protocol, *endpoint, backend_flags::SERVING),
            ));
            backends.push(backend);
        }
        let slots = backends.iter().map(|b| Slot { backend: *b, service: id }).collect();
        self.write_slots(id, slots);
        Placed { id, backends, endpoints: endpoints.to_vec(), protocol }
    }

    fn write_slots(&mut self, service: u32, slots: Vec<Slot>) {
        let range =
            Service { first_slot: self.next_slot, slots: slots.len() as u32, ..Service::default() };
        self.next_slot += range.slots;
        self.apply(Operation::SetSlots(range.first_slot, slots));
        self.apply(Operation::SetService(service, range));
    }

    /// Writes to the maps.
    pub fn apply(&mut self, operation: Operation) {
        self.maps.apply(&operation).expect("the maps have room and fit");
    }

    /// Runs a hook on a frame as if it were on the device `ifindex`; the action and the frame
    /// afterwards.
    pub fn run_on(&self, hook: Hook, ifindex: u32, frame: &[u8]) -> (Action, Vec<u8>) {
        let (action, out, _) =
            self.run_after(hook, ifindex, &[0; SCRATCH.end - SCRATCH.start], frame);
        (action, out)
    }

    /// The same for a packet with these bytes in its scratch space (`cb`), which other programs at
    /// the same hook see as they are afterwards.
    pub fn run_after(
        &self,
        hook: Hook,
        ifindex: u32,
        scratch: &[u8],
        frame: &[u8],
    ) -> (Action, Vec<u8>, Vec<u8>) {
        let name = match hook {
            Hook::Ingress => program::INGRESS_ETH,
            Hook::Egress => program::EGRESS_ETH,
        };
        let mut context = [0_u8; CONTEXT];
        context[IFINDEX].copy_from_slice(&ifindex.to_ne_bytes());
        context[SCRATCH].copy_from_slice(scratch);
        let mut context_out = [0_u8; CONTEXT];
        let mut out = vec![0; frame.len() + 256];
        let result = self
            .program(name)
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ctx_in: Some(&context),
                ctx_out: Some(&mut context_out),
                ..TestRunOptions::new()
            })
            .expect("the kernel runs a loaded program on a frame");
        out.truncate(result.data_size_out as usize);
        let action = match result.return_value as i32 {
            -1 => Action::Next,
            2 => Action::Drop,
            7 => Action::Back,
            other => panic!("the hook returned {other}, which would end the chain"),
        };
        (action, out, context_out[SCRATCH].to_vec())
    }

    /// Runs a hook on a frame on the loopback device.
    pub fn run(&self, hook: Hook, frame: &[u8]) -> (Action, Vec<u8>) {
        self.run_on(hook, 1, frame)
    }

    /// Runs one sweep over all records; how many severed flows have an end that has yet to be told.
    pub fn sweep(&self) -> usize {
        let mut untold = 0;
        for first in (0..Self::options().sizes.flows).step_by(SWEEP_STRIDE as usize) {
            let (request, mut answer) = (sweep::request(first), [0; sweep::LEN]);
            let options = TestRunOptions {
                data_in: Some(&request),
                data_out: Some(&mut answer),
                ..TestRunOptions::new()
            };
            self.program(program::SWEEP).test_run(options).expect("the sweep runs");
            untold += sweep::set(&answer).count();
        }
        untold
    }

    fn program(&self, name: &str) -> &SchedClassifier {
        let program = self.loaded.ebpf.program(name).expect("the object has the program");
        program.try_into().expect("it is a classifier")
    }

    /// How often an outcome was counted.
    pub fn count(&self, outcome: Outcome) -> u64 {
        let counters: PerCpuArray<_, u64> = self.pins.map("outcomes").expect("outcomes is pinned");
        counters.get(&(outcome as u32), 0).expect("one counter an outcome").iter().sum()
    }

    /// Takes from every CPU the ICMP messages that it may send for now, and for ever: the clock of its
    /// limit is far ahead.
    pub fn exhaust_messages(&mut self) {
        let limit = Limit { at_ns: u64::MAX, tokens: 0 };
        let map = self.loaded.ebpf.map_mut("limits").expect("the programs have limits");
        let mut limits: PerCpuArray<_, Limit> = map.try_into().expect("limits of each CPU");
        let cpus = aya::util::nr_cpus().expect("a number of CPUs");
        let all = PerCpuValues::try_from(vec![limit; cpus]).expect("one for each CPU");
        limits.set(0, all, 0).expect("limits are writable");
    }

    /// Where the maps are pinned.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }
}

fn entry(
    service: u32,
    protocol: Protocol,
    (address, local): (SocketAddr, bool),
    flags: u8,
) -> BackendEntry {
    let local = if local { backend_flags::LOCAL } else { 0 };
    BackendEntry { address, protocol, service, flags: flags | local, weight: 1 }
}
