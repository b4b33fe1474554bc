//! Session affinity: by client address, one state for all frontends of a service port.

use std::net::SocketAddr;

use svclb::plan::operation::{
    Family, FrontendAddress,
    Protocol::{self, Tcp, Udp},
};
use svclb_common::frontend::frontend_flags::{EXTERNAL, LOCAL};
use svclb_tests::programs::{Hook::Ingress, Placed, Programs, Sets};

use crate::{
    addresses::{Addresses, families, port},
    opening, pass,
};

/// How long a client stays, seconds. (The machine has been up for longer.)
const STAY: u32 = 10;
const FLOWS: u16 = 50;

fn each(mut test: impl FnMut(&mut Programs, Addresses, Protocol)) {
    for addresses in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = Programs::load(Programs::options()).expect("the programs load");
            test(&mut programs, addresses, protocol);
        }
    }
}

/// A service with affinity at a ClusterIP, a NodePort and an external address.
fn service(programs: &mut Programs, a: &Addresses, protocol: Protocol) -> Placed {
    let endpoints = [0, 1, 2, 3].map(|i| (a.backends[i], i < 2));
    let placed = programs.cluster_ip(a.vip, protocol, &endpoints);
    programs.node_address(a.node.ip());
    let at_node = FrontendAddress::NodePort(Family::of(a.node.ip()), a.node.port(), protocol);
    programs.add_frontend(&placed, at_node, EXTERNAL);
    let external = FrontendAddress::Address(a.other_vip, protocol);
    programs.add_frontend(&placed, external, EXTERNAL);
    choose_from(programs, &placed, &[0, 1, 2, 3]);
    placed
}

/// New choices are made among these endpoints; the others still serve who stays with them.
fn choose_from(programs: &mut Programs, placed: &Placed, cluster: &[usize]) {
    programs.set(placed, Sets { cluster, local: &[], affinity: STAY });
}

/// Who serves the client's next flow, from another port each time.
struct Flows {
    protocol: Protocol,
    next: u16,
}

impl Flows {
    fn ask(&mut self, programs: &Programs, client: SocketAddr, asked: SocketAddr) -> SocketAddr {
        self.next += 1;
        let client = port(client, self.next);
        pass(programs, Ingress, &opening(self.protocol, client, asked)).dst
    }
}

fn flows(protocol: Protocol) -> Flows {
    Flows { protocol, next: 20_000 }
}

#[test]
fn a_client_stays_at_every_frontend_of_the_service_port() {
    each(|programs, a, protocol| {
        service(programs, &a, protocol);
        let mut flows = flows(protocol);
        let first = flows.ask(programs, a.other_client, a.vip);
        for _ in 0..FLOWS {
            for asked in [a.vip, a.node, a.other_vip] {
                assert_eq!(flows.ask(programs, a.other_client, asked), first, "{asked}");
            }
        }
    });
}

#[test]
fn a_client_is_its_address() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let mut flows = flows(protocol);
        choose_from(programs, &placed, &[0]);
        assert_eq!(flows.ask(programs, a.client, a.vip), a.backends[0]);
        choose_from(programs, &placed, &[1]);
        assert_eq!(flows.ask(programs, a.other_client, a.vip), a.backends[1]);
        assert_eq!(flows.ask(programs, a.client, a.vip), a.backends[0]);
    });
}

#[test]
fn each_service_port_has_its_own_clients() {
    for a in families() {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        let placed = [Tcp, Udp].map(|protocol| (protocol, service(&mut programs, &a, protocol)));
        for ((protocol, placed), endpoint) in placed.iter().zip([0, 1]) {
            choose_from(&mut programs, placed, &[endpoint]);
            let chosen = flows(*protocol).ask(&programs, a.client, a.vip);
            assert_eq!(chosen, a.backends[endpoint], "{protocol}: one port number, two services");
        }
    }
}

#[test]
fn the_time_out_is_honoured() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let (mut flows, client) = (flows(protocol), a.client);
        choose_from(programs, &placed, &[0]);
        assert_eq!(flows.ask(programs, client, a.vip), a.backends[0]);
        choose_from(programs, &placed, &[1]);
        programs.age_affinity(&placed, client.ip(), u64::from(STAY) - 2);
        assert_eq!(flows.ask(programs, client, a.vip), a.backends[0], "still in time");
        programs.age_affinity(&placed, client.ip(), u64::from(STAY) + 1);
        assert_eq!(flows.ask(programs, client, a.vip), a.backends[1], "too late");
        assert_eq!(flows.ask(programs, client, a.node), a.backends[1], "and there it stays");
    });
}

#[test]
fn each_new_connection_refreshes_it() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let (mut flows, client) = (flows(protocol), a.client);
        choose_from(programs, &placed, &[0]);
        assert_eq!(flows.ask(programs, client, a.vip), a.backends[0]);
        choose_from(programs, &placed, &[1]);
        for _ in 0..3 {
            programs.age_affinity(&placed, client.ip(), u64::from(STAY) / 2);
            assert_eq!(flows.ask(programs, client, a.vip), a.backends[0]);
        }
    });
}

/// A packet of a flow that is known is no new connection.
#[test]
fn packets_of_an_old_connection_do_not_refresh_it() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let frame = opening(protocol, a.client, a.vip);
        pass(programs, Ingress, &frame);
        programs.age_affinity(&placed, a.client.ip(), 3);
        let before = programs.affinity(&placed, a.client.ip());
        pass(programs, Ingress, &frame);
        assert_eq!(programs.affinity(&placed, a.client.ip()), before);
    });
}

#[test]
fn a_client_moves_when_its_endpoint_goes_and_stays_there() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let mut flows = flows(protocol);
        choose_from(programs, &placed, &[0]);
        assert_eq!(flows.ask(programs, a.client, a.vip), a.backends[0]);
        choose_from(programs, &placed, &[1]);
        programs.stop_serving(&placed, 0);
        assert_eq!(flows.ask(programs, a.client, a.node), a.backends[1]);
        choose_from(programs, &placed, &[2]);
        assert_eq!(flows.ask(programs, a.client, a.vip), a.backends[1]);
    });
}

/// A policy comes before a habit: the client moves to this node, and stays there at every frontend.
#[test]
fn a_client_stays_within_what_the_policy_allows() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        let local = port(a.other_vip, 81);
        let address = FrontendAddress::Address(local, protocol);
        programs.add_frontend(&placed, address, EXTERNAL | LOCAL);
        let mut flows = flows(protocol);
        choose_from(programs, &placed, &[2]);
        assert_eq!(flows.ask(programs, a.other_client, a.vip), a.backends[2]);
        let sets = Sets { cluster: &[0, 1, 2, 3], local: &[0, 1], affinity: STAY };
        programs.set(&placed, sets);
        assert_eq!(flows.ask(programs, a.other_client, a.vip), a.backends[2]);
        let chosen = flows.ask(programs, a.other_client, local);
        assert!(a.backends[..2].contains(&chosen), "{chosen} is on this node");
        for asked in [a.vip, local, a.node] {
            assert_eq!(flows.ask(programs, a.other_client, asked), chosen);
        }
    });
}

#[test]
fn without_affinity_nobody_is_remembered() {
    each(|programs, a, protocol| {
        let placed = service(programs, &a, protocol);
        programs.set(&placed, Sets { cluster: &[0, 1, 2, 3], ..Sets::default() });
        let mut flows = flows(protocol);
        let first = flows.ask(programs, a.client, a.vip);
        let others = (0..FLOWS).filter(|_| flows.ask(programs, a.client, a.vip) != first);
        assert_ne!(others.count(), 0);
        assert_eq!(programs.affinity(&placed, a.client.ip()), None);
    });
}
