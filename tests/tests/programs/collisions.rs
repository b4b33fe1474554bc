//! Flows that would share a tuple between the hooks.

use std::{sync::Barrier, thread};

use svclb::plan::operation::Protocol::{Tcp, Udp};
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
    addresses::{families, port},
    answer, opening, pass, right, segment, untouched,
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

/// Two CPUs that meet the first datagrams of one flow at the same moment: none is lost, and both
/// reach one backend.
#[test]
fn two_cpus_open_one_flow_together() {
    const ROUNDS: u16 = 5_000;
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Udp, &a.backends.map(|backend| (backend, true)));
        let (programs, start) = (&programs, Barrier::new(2));
        let chosen = thread::scope(|scope| {
            let race = || {
                let each = |round| {
                    let frame = opening(Udp, port(a.client, 1024 + round), a.vip);
                    start.wait();
                    pass(programs, Ingress, &frame).dst
                };
                (0..ROUNDS).map(each).collect::<Vec<_>>()
            };
            let other = scope.spawn(race);
            (race(), other.join().expect("the other CPU's packets pass"))
        });
        assert_eq!(chosen.0, chosen.1);
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
        assert_eq!(programs.count(Outcome::Opened), u64::from(ROUNDS));
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
