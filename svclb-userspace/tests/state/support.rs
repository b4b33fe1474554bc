//! Engines over maps in memory, and objects in a line.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use svclb::{
    plan::{
        Limits,
        kernel::KernelState,
        operation::{Family, Protocol},
    },
    snapshot::{Change, Endpoint, EndpointPort, EndpointSlice, Hints, ObjectKey, Port, Service},
    state::{Engine, Options, Traffic},
    writer::{MapReader, memory::MemoryWriter},
};

use crate::invariants::CheckedWriter;

/// The grace time of all engines here.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// An engine on `node1` that takes over `maps`.
pub(crate) fn engine(limits: Limits, maps: MemoryWriter, now: Instant) -> Engine<CheckedWriter> {
    engine_with(limits, maps, Traffic::default(), now)
}

/// The same with what an operator says.
pub(crate) fn engine_with(
    limits: Limits,
    maps: MemoryWriter,
    traffic: Traffic,
    now: Instant,
) -> Engine<CheckedWriter> {
    let options = Options { node: "node1".into(), limits, grace: GRACE, traffic };
    let kernel = maps.read().unwrap();
    Engine::new(options, kernel, CheckedWriter { maps, strict: false }, now)
}

/// A second engine that takes over what another one has written.
pub(crate) fn restart(
    limits: Limits,
    engine: &mut Engine<CheckedWriter>,
    now: Instant,
) -> Engine<CheckedWriter> {
    let state: KernelState = engine.writer().maps.read().unwrap();
    self::engine(limits, MemoryWriter::with_state(state), now)
}

/// `ns/name` with the port `http`, 80/TCP.
pub(crate) fn service(name: &str, ip: &str) -> Change {
    let port = Port { name: "http".into(), protocol: Protocol::Tcp, port: 80, node_port: 0 };
    let service =
        Service { cluster_ips: vec![ip.parse().unwrap()], ports: vec![port], ..Service::default() };
    Change::Service(ObjectKey::new("ns", name), Some(service))
}

/// The end of a Service.
pub(crate) fn no_service(name: &str) -> Change {
    Change::Service(ObjectKey::new("ns", name), None)
}

/// A slice of `ns/service` with ready endpoints at port 8080.
pub(crate) fn slice(
    service: &str,
    name: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> Change {
    let endpoints: Vec<_> = addresses.into_iter().map(ready).collect();
    let family = endpoints.first().map_or(Family::V4, |endpoint| Family::of(endpoint.address));
    let ports = vec![EndpointPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }];
    let service = service.into();
    let slice = EndpointSlice { service, family, ports, endpoints, triggered: None };
    Change::Slice(ObjectKey::new("ns", name), Some(slice))
}

fn ready(address: IpAddr) -> Endpoint {
    let hints = Hints::default();
    Endpoint { address, ready: true, serving: true, terminating: false, node: None, hints }
}

/// 10.1.0.0, 10.1.0.1, ... from number `first` on.
pub(crate) fn pods(first: u32, count: u32) -> impl Iterator<Item = IpAddr> + Clone {
    let base = u32::from_be_bytes([10, 1, 0, 0]);
    (first..first + count).map(move |i| IpAddr::V4((base + i).into()))
}

/// The addresses of the backends that new flows reach, in order.
pub(crate) fn reached(state: &KernelState, service: &str) -> Vec<String> {
    let named = state.names.iter().filter(|(_, (owner, _))| owner.name == service);
    let slots = named.flat_map(|(id, _)| {
        let value = state.service(*id);
        state.slots(value.first_slot, value.slots)
    });
    let mut reached: Vec<_> =
        slots.map(|slot| state.backends[&slot.backend].address.ip().to_string()).collect();
    reached.sort();
    reached
}
