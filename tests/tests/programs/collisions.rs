//! Flows that would share a tuple between the hooks.

use std::net::SocketAddr;

use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use svclb::plan::operation::Protocol::{self, Tcp, Udp};
use svclb_common::outcome::Outcome;
use svclb_tests::{
    lab::Netns,
    packet::flags,
    programs::{
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port},
    answer, dropped, opening, pass, refused, right, segment, untouched,
};

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

#[test]
fn two_services_that_share_a_backend_can_be_asked_from_one_port() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
            programs.cluster_ip(a.other_vip, protocol, &[(a.backends[0], true)]);
            let first = pass(&programs, Ingress, &opening(protocol, a.client, a.vip));
            let second = pass(&programs, Ingress, &opening(protocol, a.client, a.other_vip));
            assert_eq!((first.dst, second.dst), (a.backends[0], a.backends[0]));
            assert_ne!(first.src, second.src);
            for (between, vip) in [(first, a.vip), (second, a.other_vip)] {
                let reply = answer(protocol, between.dst, between.src);
                let seen = pass(&programs, Egress, &reply);
                assert_eq!((seen.src, seen.dst), (vip, a.client));
            }
            assert_eq!(programs.count(Outcome::PortMoved), 1);
        }
    }
}

#[test]
fn a_direct_connection_that_comes_second_is_moved_aside() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
            let service = pass(&programs, Ingress, &opening(protocol, a.client, a.vip));
            let direct = pass(&programs, Ingress, &opening(protocol, a.client, a.backends[0]));
            assert_eq!(direct.dst, a.backends[0]);
            assert_ne!(direct.src.port(), service.src.port());
            let reply = answer(protocol, a.backends[0], direct.src);
            let seen = pass(&programs, Egress, &reply);
            assert_eq!((seen.src, seen.dst), (a.backends[0], a.client));
            let reply = answer(protocol, a.backends[0], service.src);
            let seen = pass(&programs, Egress, &reply);
            assert_eq!((seen.src, seen.dst), (a.vip, a.client));
            assert_eq!(programs.count(Outcome::DirectMoved), 1);
        }
    }
}

#[test]
fn a_direct_connection_that_came_first_keeps_its_tuple() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
            let direct = opening(protocol, a.client, a.backends[0]);
            untouched(&programs, Ingress, &direct);
            untouched(&programs, Egress, &direct);
            let service = pass(&programs, Ingress, &opening(protocol, a.client, a.vip));
            assert_eq!(service.dst, a.backends[0]);
            assert_ne!(service.src.port(), a.client.port());
            untouched(&programs, Egress, &answer(protocol, a.backends[0], a.client));
            let reply = answer(protocol, a.backends[0], service.src);
            assert_eq!(pass(&programs, Egress, &reply).src, a.vip);
        }
    }
}

/// On a bridge, a rewritten packet meets the ingress hook of the port and then the bridge's. Between
/// the hooks it looks like the direct connection that was moved aside.
#[test]
fn a_services_packet_at_a_second_device_is_not_the_direct_connections() {
    const PORT: u32 = 2;
    const BRIDGE: u32 = 3;
    let name = format!("svclb-{}-0-programs", std::process::id());
    let devices = Netns::create(&name).expect("a network namespace");
    devices.ip("link add port type veth peer name bridge").expect("two devices");
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
            let programs = &programs;
            let pass_on = |ifindex, frame: &[u8]| {
                let run = || Ok(programs.run_on(Ingress, ifindex, frame));
                devices.run(run).expect("the hook runs").1
            };
            let service = opening(protocol, a.client, a.vip);
            let between = pass_on(PORT, &service);
            let direct = pass_on(PORT, &opening(protocol, a.client, a.backends[0]));
            assert_ne!(right(&direct).src, right(&between).src);
            assert_eq!(pass_on(BRIDGE, &direct), direct);
            for _ in 0..2 {
                let between = pass_on(PORT, &service);
                assert_eq!(pass_on(BRIDGE, &between), between);
            }
        }
    }
}

/// While a device changes from filters to links, both kinds of program see its packets.
#[test]
fn two_programs_at_one_hook_rewrite_once() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
            let frame = opening(protocol, a.client, a.vip);
            let (_, first, scratch) = programs.run_after(Ingress, 1, &[0; 20], &frame);
            let (_, second, _) = programs.run_after(Ingress, 1, &scratch, &first);
            assert_eq!(first, second);
            assert_eq!(programs.count(Outcome::DirectMoved), 0);
            // A direct connection steps aside; what follows on the service's flow is not its.
            pass(&programs, Ingress, &opening(protocol, a.client, a.backends[0]));
            let (_, first, scratch) = programs.run_after(Ingress, 1, &[0; 20], &frame);
            let (_, second, _) = programs.run_after(Ingress, 1, &scratch, &first);
            assert_eq!(first, second);
            // Nor is its answer, given its port back, an answer of the service's.
            let direct = pass(&programs, Ingress, &opening(protocol, a.client, a.backends[0]));
            for between in [a.client, direct.src] {
                let reply = answer(protocol, a.backends[0], between);
                let (_, first, scratch) = programs.run_after(Egress, 1, &[0; 20], &reply);
                let (_, second, _) = programs.run_after(Egress, 1, &scratch, &first);
                assert_eq!(first, second);
            }
        }
    }
}

/// A client's connection through a node port to an endpoint on another node, answered; the address
/// and port that the endpoint sees.
pub(crate) fn masqueraded(programs: &Programs, a: &Addresses, protocol: Protocol) -> SocketAddr {
    let (client, backend) = (a.other_client, a.backends[2]);
    pass(programs, Ingress, &opening(protocol, client, a.node));
    let sent = pass(programs, Egress, &opening(protocol, client, backend)).src;
    assert_eq!(pass(programs, Ingress, &answer(protocol, backend, sent)).dst, client);
    let seen = pass(programs, Egress, &answer(protocol, backend, client));
    assert_eq!((seen.src, seen.dst), (a.node, client));
    sent
}

/// A packet passes its devices on one CPU.
pub(crate) fn stay_on_this_cpu() {
    let cpu = sched_getcpu().expect("the CPU's number");
    let mut cpus = CpuSet::new();
    cpus.set(cpu).expect("a set of one CPU");
    sched_setaffinity(Pid::from_raw(0), &cpus).expect("the thread stays on its CPU");
}

pub(crate) fn port_after(client: SocketAddr) -> SocketAddr {
    port(client, client.port() + 1)
}

/// Netfilter's masquerade knows nothing of svclb's ports: it may take one that a flow waits at,
/// towards the same endpoint.
#[test]
fn the_nodes_own_connection_with_a_flows_port_is_moved_aside() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let (mut programs, backend) = (load(), a.backends[2]);
            stay_on_this_cpu();
            programs.node_port(a.node, protocol, &[(backend, false)]);
            let taken = masqueraded(&programs, &a, protocol);
            // Another packet of svclb's, so that the port is not the last one that was sent.
            let other = opening(protocol, port_after(a.other_client), a.node);
            pass(&programs, Ingress, &other);
            let between = opening(protocol, port_after(a.other_client), backend);
            pass(&programs, Egress, &between);

            let own = opening(protocol, taken, backend);
            let moved = pass(&programs, Egress, &own);
            assert_eq!((moved.src.ip(), moved.dst), (a.node.ip(), backend));
            assert_ne!(moved.src, taken);
            assert_eq!(pass(&programs, Egress, &own), moved, "the next packet goes the same way");
            let back = pass(&programs, Ingress, &answer(protocol, backend, moved.src));
            assert_eq!((back.src, back.dst), (backend, taken));
            // The flow's answers are its client's, as before.
            let back = pass(&programs, Ingress, &answer(protocol, backend, taken));
            assert_eq!(back.dst, a.other_client);
            assert_eq!(programs.count(Outcome::DirectMoved), 1);
        }
    }
}

/// Who claims to be the node says nothing about the node's own connections.
#[test]
fn a_packet_received_in_the_nodes_name_leaves_its_own_flow_alone() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let (mut programs, backend) = (load(), a.backends[2]);
            stay_on_this_cpu();
            programs.node_port(a.node, protocol, &[(backend, false)]);
            let taken = masqueraded(&programs, &a, protocol);
            let other = opening(protocol, port_after(a.other_client), a.node);
            pass(&programs, Ingress, &other);
            let between = opening(protocol, port_after(a.other_client), backend);
            pass(&programs, Egress, &between);
            let own = opening(protocol, taken, backend);
            let moved = pass(&programs, Egress, &own);
            assert_ne!(moved.src, taken);

            untouched(&programs, Ingress, &own);
            assert_eq!(programs.count(Outcome::Forgotten), 0);
            let back = pass(&programs, Ingress, &answer(protocol, backend, moved.src));
            assert_eq!((back.src, back.dst), (backend, taken));
        }
    }
}

/// Somebody who claims to be the node has a direct connection moved aside, so that the node's own
/// has no flow to be given: it is dropped by name, and nothing is said to have moved.
#[test]
fn what_finds_no_way_is_not_said_to_have_moved() {
    for a in families() {
        let (mut programs, backend) = (load(), a.backends[2]);
        stay_on_this_cpu();
        programs.node_port(a.node, Udp, &[(backend, false)]);
        let taken = masqueraded(&programs, &a, Udp);
        let placed = programs.cluster_ip(a.vip, Udp, &[(backend, false)]);
        pass(&programs, Ingress, &opening(Udp, taken, a.vip));
        pass(&programs, Ingress, &opening(Udp, taken, backend));
        assert_eq!(programs.count(Outcome::DirectMoved), 1);
        programs.switch(&placed, &[]);
        programs.stop_serving(&placed, 0);
        refused(&programs, Ingress, &opening(Udp, taken, a.vip));
        // Another packet of svclb's, so that the port is not the last one that was sent.
        let other = port_after(a.other_client);
        pass(&programs, Ingress, &opening(Udp, other, a.node));
        pass(&programs, Egress, &opening(Udp, other, backend));

        dropped(&programs, Egress, &opening(Udp, taken, backend));
        assert_eq!(programs.count(Outcome::FlowBusy), 1);
        assert_eq!(programs.count(Outcome::DirectMoved), 1);
    }
}

#[test]
fn an_ended_flow_gives_its_port_to_the_nodes_own_connection() {
    for a in families() {
        let (mut programs, backend) = (load(), a.backends[2]);
        programs.node_port(a.node, Tcp, &[(backend, false)]);
        let port = masqueraded(&programs, &a, Tcp);
        pass(&programs, Ingress, &segment(a.other_client, a.node, flags::RST));
        untouched(&programs, Egress, &opening(Tcp, port, backend));
        untouched(&programs, Ingress, &answer(Tcp, backend, port));
        assert_eq!(programs.count(Outcome::Reused), 1);
    }
}

/// Below a bridge or a tunnel, a masqueraded packet meets another egress hook.
#[test]
fn a_masqueraded_packet_is_not_moved_aside_for_itself() {
    for a in families() {
        for protocol in [Tcp, Udp] {
            let mut programs = load();
            stay_on_this_cpu();
            programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
            pass(&programs, Ingress, &opening(protocol, a.other_client, a.node));
            let between = opening(protocol, a.other_client, a.backends[2]);
            let sent = pass(&programs, Egress, &between);
            untouched(&programs, Egress, &opening(protocol, sent.src, sent.dst));
        }
    }
}

#[test]
fn direct_segments_in_mid_stream_are_left_alone() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        let frame = segment(a.client, a.backends[0], flags::ACK);
        untouched(&programs, Ingress, &frame);
        untouched(&programs, Egress, &frame);
    }
}
