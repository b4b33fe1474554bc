//! What commands say about a frontend is what the maps say.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use proptest::{collection::vec, prelude::*, sample::subsequence};
use svclb::{
    desired::{Asked, Destination, asked},
    plan::{
        Limits,
        kernel::KernelState,
        operation::{Family, FrontendAddress, Protocol, ServicePort},
    },
    snapshot::{Change, ObjectKey},
    state::Engine,
    writer::memory::MemoryWriter,
};
use svclb_common::frontend::frontend_flags;

use crate::{
    any::{addresses, node, service, slice},
    invariants::CheckedWriter,
    support::engine,
};

fn change() -> impl Strategy<Value = Change> {
    let key = |kind: &str, i: usize| ObjectKey::new("ns", &format!("{kind}{i}"));
    prop_oneof![
        (0_usize..3, service()).prop_map(move |(i, s)| Change::Service(key("s", i), Some(s))),
        (0_usize..4, slice()).prop_map(move |(i, s)| Change::Slice(key("slice-", i), Some(s))),
        node().prop_map(|node| Change::Node("node1".into(), Some(node))),
    ]
}

/// Everything that anybody may ask.
fn destinations() -> impl Iterator<Item = (SocketAddr, Protocol)> {
    let ips = (1..7).flat_map(|last| {
        let v6 = [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)];
        [IpAddr::from([10, 0, 0, last]), IpAddr::from(v6)]
    });
    ips.flat_map(|ip| [80, 81, 30_001, 30_002].map(|port| SocketAddr::new(ip, port))).flat_map(
        |at| [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(|protocol| (at, protocol)),
    )
}

/// Who answers clients outside there, and by which endpoints.
type Answer = (ServicePort, BTreeSet<SocketAddr>);

/// By the maps, as the programs read them.
fn by_maps(engine: &Engine<CheckedWriter>, at: SocketAddr, protocol: Protocol) -> Option<Answer> {
    let kernel: &KernelState = engine.kernel();
    let node_port = FrontendAddress::NodePort(Family::of(at.ip()), at.port(), protocol);
    let is_own = engine.node().addresses.contains(&at.ip());
    let exact = kernel.frontends.get(&FrontendAddress::Address(at, protocol));
    let found = exact.or_else(|| kernel.frontends.get(&node_port).filter(|_| is_own))?;
    let service = kernel.service(found.service);
    let slots = match found.flags & frontend_flags::LOCAL {
        0 => kernel.slots(service.first_slot, service.slots),
        _ => kernel.slots(service.first_local, service.local_slots),
    };
    let endpoints = slots.map(|slot| kernel.backends[&slot.backend].address).collect();
    Some((kernel.names[&found.service].0.clone(), endpoints))
}

/// By the objects, as commands explain it.
fn by_objects(
    engine: &Engine<CheckedWriter>,
    at: SocketAddr,
    protocol: Protocol,
) -> Option<Answer> {
    let destination = Destination::Port(at, protocol);
    match asked(engine.snapshot(), &[], engine.node(), destination) {
        Asked::Frontend(port, frontend) => {
            let set = port.choice.set(frontend.policy);
            let endpoints = set.map(|judged| judged.address).collect();
            Some((port.owner.clone(), endpoints))
        }
        _ => None,
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_what_the_maps_answer(
        changes in vec(change(), 0..20),
        own in addresses(1..7),
        asking in subsequence(destinations().collect::<Vec<_>>(), 30),
    ) {
        let now = Instant::now();
        let mut engine = engine(Limits::default(), MemoryWriter::default(), now);
        engine.set_node_addresses(own.into_iter().collect(), now);
        engine.apply(changes.into_iter().chain([Change::Listed]), now);
        for (at, protocol) in asking {
            let [maps, objects] = [by_maps, by_objects].map(|by| by(&engine, at, protocol));
            prop_assert_eq!(maps, objects, "{}/{}", at, protocol);
        }
    }
}
