//! Random tables, and random changes to them.

use std::net::SocketAddr;

use fastrand::Rng;

use super::world::{ASKED, MASQUERADE_PORTS, NODE_PORTS, SERVING, World};
use crate::model::{Condition, Endpoint, Frontend, Kind, Protocol, Service, Tables};

/// How many services there are for each family and protocol.
const SERVICES: u32 = 4;

/// Tables with everything in them.
pub(super) fn tables(rng: &mut Rng) -> Tables {
    let mut tables = Tables { masquerade_ports: MASQUERADE_PORTS, ..Tables::default() };
    for (v4, protocol, id) in all() {
        put_service(rng, &mut tables, id, &World::new(v4));
        put_frontends(rng, &mut tables, (v4, protocol, id));
    }
    for v4 in [true, false] {
        let world = World::new(v4);
        tables.pods.push(world.pods);
        tables.node.extend(world.node);
        tables.masquerade.insert(v4, world.node[0]);
        let addresses = world.askable();
        tables.asked.extend(addresses.iter().map(SocketAddr::ip));
        tables.answering.extend(world.endpoints.map(|(ip, _)| ip));
    }
    tables
}

/// Changes one thing.
pub(super) fn change(rng: &mut Rng, tables: &mut Tables) {
    let (v4, protocol, id) = rng.choice(all()).expect("there are services");
    let world = World::new(v4);
    // Without an address to masquerade with, much else is not met.
    tables.masquerade.entry(v4).or_insert(world.node[0]);
    match rng.u32(0..20) {
        0 => remove(tables, id),
        1..4 => put_frontends(rng, tables, (v4, protocol, id)),
        4 => toggle_address(tables, &world),
        5 if rng.u8(0..4) == 0 => toggle_masquerade(tables, v4, &world),
        6..9 => put_service(rng, tables, id, &world),
        _ => change_service(rng, tables, id, &world),
    }
}

/// Family, protocol and id of every service.
fn all() -> Vec<(bool, Protocol, u32)> {
    let kinds = [true, false].into_iter().flat_map(|v4| {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .map(move |protocol| (v4, protocol))
    });
    let numbered = (0..).zip(kinds).flat_map(|(group, (v4, protocol))| {
        (1..=SERVICES).map(move |i| (v4, protocol, group * SERVICES + i))
    });
    numbered.collect()
}

fn put_service(rng: &mut Rng, tables: &mut Tables, id: u32, world: &World) {
    let service = Service {
        internal_local: rng.u8(0..4) == 0,
        external_local: rng.u8(0..3) == 0,
        source_ranges: ranges(rng, world),
        affinity: rng.u8(0..3) == 0,
        endpoints: endpoints(rng, world),
    };
    tables.services.insert(id, service);
}

fn ranges(rng: &mut Rng, world: &World) -> Vec<crate::model::Net> {
    let count = if rng.bool() { 0 } else { rng.usize(1..3) };
    rng.choose_multiple(world.ranges, count)
}

fn endpoints(rng: &mut Rng, world: &World) -> Vec<Endpoint> {
    let count = rng.usize(0..=4);
    let hinted = rng.u8(0..3) == 0;
    let chosen = rng.choose_multiple(world.endpoints, count);
    let one = |(ip, here)| {
        let port = SERVING[usize::from(rng.u8(0..4) == 0)];
        let hint = (hinted && rng.u8(0..8) != 0).then(|| rng.bool());
        Endpoint { address: SocketAddr::new(ip, port), here, condition: condition(rng), hint }
    };
    chosen.into_iter().map(one).collect()
}

fn condition(rng: &mut Rng) -> Condition {
    match rng.u8(0..6) {
        0 => Condition::Leaving,
        1 => Condition::Gone,
        _ => Condition::Ready,
    }
}

/// Gives a service the frontends of a new throw, where nobody else has them.
fn put_frontends(rng: &mut Rng, tables: &mut Tables, (v4, protocol, id): (bool, Protocol, u32)) {
    tables.frontends.retain(|_, frontend| frontend.service != id);
    tables.node_ports.retain(|_, frontend| frontend.service != id);
    let world = World::new(v4);
    let mut at = |ip, kind| {
        let port = rng.choice(ASKED).expect("there are ports");
        let key = (SocketAddr::new(ip, port), protocol);
        tables.frontends.entry(key).or_insert(Frontend { kind, service: id });
    };
    for ip in world.cluster {
        at(ip, Kind::ClusterIp);
    }
    at(world.external[0], Kind::ExternalIp);
    at(world.external[1], Kind::LoadBalancer);
    let key = (v4, rng.choice(NODE_PORTS).expect("there are ports"), protocol);
    tables.node_ports.entry(key).or_insert(Frontend { kind: Kind::NodePort, service: id });
}

fn remove(tables: &mut Tables, id: u32) {
    tables.frontends.retain(|_, frontend| frontend.service != id);
    tables.node_ports.retain(|_, frontend| frontend.service != id);
    tables.services.remove(&id);
}

fn toggle_address(tables: &mut Tables, world: &World) {
    if !tables.node.remove(&world.node[1]) {
        tables.node.insert(world.node[1]);
    }
}

fn toggle_masquerade(tables: &mut Tables, v4: bool, world: &World) {
    if tables.masquerade.remove(&v4).is_none() {
        tables.masquerade.insert(v4, world.node[0]);
    }
}

/// One of a service's policies, or one of its endpoints.
fn change_service(rng: &mut Rng, tables: &mut Tables, id: u32, world: &World) {
    let Some(service) = tables.services.get_mut(&id) else { return };
    match rng.u8(0..8) {
        0 => service.internal_local = !service.internal_local,
        1 => service.external_local = !service.external_local,
        2 => service.affinity = !service.affinity,
        3 => service.source_ranges = ranges(rng, world),
        4 => service.endpoints = endpoints(rng, world),
        _ => {
            let count = service.endpoints.len();
            if let Some(endpoint) = service.endpoints.get_mut(rng.usize(0..=count)) {
                endpoint.condition = condition(rng);
            }
        }
    }
}
