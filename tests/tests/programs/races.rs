//! Two CPUs at the record of one flow.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use svclb::{
    loader::{Options, Sizes},
    plan::operation::Protocol::Udp,
};
use svclb_common::outcome::Outcome;
use svclb_tests::programs::{
    Action,
    Hook::{self, Egress, Ingress},
    Programs,
};

use crate::{
    addresses::{families, port},
    answer,
    collisions::{masqueraded, stay_on_this_cpu},
    opening, pass, right, untouched,
};

fn load() -> Programs {
    Programs::load(Programs::options()).expect("the programs load")
}

/// With a table where no flow of [`ROUNDS`] has to make room.
fn load_roomy() -> Programs {
    let options = Programs::options();
    let sizes = Sizes { flows: 16_384, ..options.sizes };
    Programs::load(Options { sizes, ..options }).expect("the programs load")
}

/// How often two CPUs race.
const ROUNDS: u16 = 5_000;

/// What becomes of a frame of each round on two CPUs that run it at the same moment: `prepare` makes
/// it. (Nothing is asserted on the way: a CPU would wait for the other for ever.)
fn race(
    programs: &Programs,
    hook: Hook,
    rounds: u16,
    prepare: impl Fn(u16) -> Vec<u8> + Sync,
) -> (Vec<Ran>, Vec<Ran>) {
    let start = Barrier::new(2);
    let each = |round| {
        let frame = prepare(round);
        start.wait();
        programs.run(hook, &frame)
    };
    let all = || (0..rounds).map(each).collect::<Vec<_>>();
    thread::scope(|scope| {
        let other = scope.spawn(all);
        (all(), other.join().expect("the other CPU"))
    })
}

/// What became of a frame.
type Ran = (Action, Vec<u8>);

/// Two CPUs that meet the first datagrams of one flow at the same moment: none is lost, and both
/// reach one backend.
#[test]
fn two_cpus_open_one_flow_together() {
    for a in families() {
        let mut programs = load_roomy();
        programs.cluster_ip(a.vip, Udp, &a.backends.map(|backend| (backend, true)));
        let request = |round| opening(Udp, port(a.client, 1024 + round), a.vip);
        let (one, other) = race(&programs, Ingress, ROUNDS, request);
        assert!(one.iter().all(|(action, _)| *action == Action::Next));
        assert_eq!(one, other);
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
        assert_eq!(programs.count(Outcome::Opened), u64::from(ROUNDS));
    }
}

/// The same where it is masqueraded: both have one port.
#[test]
fn two_cpus_masquerade_one_flow_together() {
    for a in families() {
        let (mut programs, backend) = (load_roomy(), a.backends[2]);
        programs.node_port(a.node, Udp, &[(backend, false)]);
        let (one, other) = race(&programs, Egress, ROUNDS, |round| {
            let client = port(a.other_client, 1024 + round);
            // (Its port between the hooks may be another, where both CPUs open the flow.)
            programs.run(Ingress, &opening(Udp, client, a.node)).1
        });
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
        for (action, frame) in &one {
            assert_eq!((*action, right(frame).src.ip()), (Action::Next, a.node.ip()));
        }
        assert_eq!(one, other);
    }
}

/// The same where they are the first datagrams after the flow's endpoint has left.
#[test]
fn two_cpus_forget_one_flow_together() {
    const FLOWS: u16 = 500;
    for a in families() {
        let mut programs = load_roomy();
        let endpoints = [0, 1].map(|i| (a.backends[i], true));
        let placed = programs.cluster_ip(a.vip, Udp, &endpoints);
        let request = |round| opening(Udp, port(a.client, 1024 + round), a.vip);
        for serving in [0, 1].repeat(5) {
            programs.switch(&placed, &[serving]);
            programs.serve(&placed, serving);
            programs.stop_serving(&placed, 1 - serving);
            let before = programs.count(Outcome::Forgotten);
            let (one, other) = race(&programs, Ingress, FLOWS, request);
            for (action, frame) in &one {
                assert_eq!((*action, right(frame).dst), (Action::Next, a.backends[serving]));
            }
            assert_eq!(one, other);
            let forgotten = programs.count(Outcome::Forgotten) - before;
            assert!([0, u64::from(FLOWS)].contains(&forgotten), "{forgotten} forgotten");
        }
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
    }
}

/// How often each of two CPUs sends a packet of one flow: each finds the other at the flow's record
/// now and then, if it needs the record for itself.
const MANY: u32 = 20_000;

/// A packet is at the next device by then, and svclb still knows it as its own work.
const AT_ONCE: Duration = Duration::from_millis(2);

/// Below a bridge, answers that have their frontend meet another egress hook, where they might be a
/// connection of the node's own: the client is an endpoint, too.
#[test]
fn answers_at_a_second_device_pass_side_by_side() {
    for a in families() {
        let mut programs = load();
        programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
        programs.cluster_ip(a.other_vip, Udp, &[(a.client, true)]);
        pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        let (reply, seen) = (answer(Udp, a.backends[0], a.client), answer(Udp, a.vip, a.client));
        let both_devices = || {
            for _ in 0..MANY {
                assert_eq!(pass(&programs, Egress, &reply).src, a.vip);
                untouched(&programs, Egress, &seen);
            }
        };
        thread::scope(|scope| {
            scope.spawn(both_devices);
            both_devices();
        });
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
        assert_eq!(programs.count(Outcome::DirectMoved), 0);
    }
}

/// The same for requests with a masquerade address, and their answers on another CPU.
#[test]
fn a_masqueraded_packet_at_a_second_device_delays_no_answer() {
    for a in families() {
        let (mut programs, backend) = (load(), a.backends[2]);
        programs.node_port(a.node, Udp, &[(backend, false)]);
        let taken = masqueraded(&programs, &a, Udp);
        let (request, sent) = (opening(Udp, a.other_client, backend), opening(Udp, taken, backend));
        let reply = answer(Udp, backend, taken);
        thread::scope(|scope| {
            scope.spawn(|| {
                stay_on_this_cpu();
                for _ in 0..MANY {
                    let began = Instant::now();
                    assert_eq!(pass(&programs, Egress, &request).src, taken);
                    // Unlike a packet on its way, a thread may have been put aside meanwhile.
                    if began.elapsed() < AT_ONCE {
                        untouched(&programs, Egress, &sent);
                    }
                }
            });
            for _ in 0..MANY {
                assert_eq!(pass(&programs, Ingress, &reply).dst, a.other_client);
            }
        });
        assert_eq!(programs.count(Outcome::FlowBusy), 0);
        assert_eq!(programs.count(Outcome::DirectMoved), 0);
    }
}
