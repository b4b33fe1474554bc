//! Fragments: only the first has ports, and they come in any order.

mod held;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use svclb::plan::operation::Protocol::{Tcp, Udp};
use svclb_common::{fragment::LINGER_NS, outcome::Outcome};
use svclb_tests::{
    lab::{SOON, wait_for},
    packet::{Extension, Packet, flags},
    programs::{
        Action, Cable,
        Hook::{self, Egress, Ingress},
        Programs,
    },
    remembered::Remembered,
};

use crate::{
    addresses::{Addresses, families, port, v4, v6},
    dropped, opening, pass, right, untouched,
};

/// Bytes of a datagram in each fragment but the last.
const SIZE: usize = 1_480;

fn load(a: &Addresses) -> Programs {
    let mut programs = Programs::load(Programs::options()).expect("the programs load");
    for protocol in [Tcp, Udp] {
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
    }
    programs
}

/// For how long a complete datagram is known.
const LINGER: Duration = Duration::from_nanos(LINGER_NS);

/// A long datagram.
fn udp(src: SocketAddr, dst: SocketAddr) -> Packet {
    let payload: Vec<u8> = (0..5_000_u32).map(|i| (i * 31 % 251) as u8).collect();
    Packet::udp(src, dst).payload(&payload).ethernet()
}

fn fragments(src: SocketAddr, dst: SocketAddr) -> Vec<Vec<u8>> {
    udp(src, dst).fragments(SIZE)
}

/// Runs frames that must pass; what they are afterwards.
fn through(programs: &Programs, hook: Hook, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let run = |frame: &Vec<u8>| {
        let (action, out) = programs.run(hook, frame);
        assert_eq!(action, Action::Next, "{:?}", right(frame));
        out
    };
    frames.iter().map(run).collect()
}

/// How many datagrams are remembered, and how many fragments held.
fn remembered(programs: &Programs) -> (usize, usize) {
    let Remembered { datagrams, held } =
        Remembered::at(programs.pins()).expect("the maps are readable");
    (datagrams, held)
}

#[test]
fn fragments_go_where_their_first_one_goes() {
    for a in families() {
        let programs = load(&a);
        let out = through(&programs, Ingress, &fragments(a.client, a.vip));
        assert_eq!(out, fragments(a.client, a.backends[0]));
        assert_eq!(through(&programs, Egress, &out), out);
        let answer = through(&programs, Egress, &fragments(a.backends[0], a.client));
        assert_eq!(answer, fragments(a.vip, a.client));
        let later = out.len() as u64 - 1;
        assert_eq!(programs.count(Outcome::Request), 1);
        assert_eq!(programs.count(Outcome::Reply), 1);
        assert_eq!(programs.count(Outcome::Fragment), 2 * later);
    }
}

#[test]
fn fragments_are_masqueraded_both_ways() {
    for a in families() {
        let mut programs = load(&a);
        programs.node_port(a.node, Udp, &[(a.backends[2], false)]);
        let between = through(&programs, Ingress, &fragments(a.other_client, a.node));
        assert_eq!(between, fragments(a.other_client, a.backends[2]));
        let sent = through(&programs, Egress, &between);
        let opened = pass(&programs, Egress, &opening(Udp, a.other_client, a.backends[2]));
        assert_eq!(sent, fragments(opened.src, a.backends[2]));
        let back = through(&programs, Ingress, &fragments(a.backends[2], opened.src));
        assert_eq!(back, fragments(a.backends[2], a.other_client));
        let reply = through(&programs, Egress, &back);
        assert_eq!(reply, fragments(a.node, a.other_client));
    }
}

#[test]
fn fragments_count_for_their_service() {
    let a = v4();
    let mut programs = load(&a);
    let placed = programs.cluster_ip(a.other_vip, Udp, &[(a.backends[1], true)]);
    let frames = fragments(a.client, a.other_vip);
    through(&programs, Ingress, &frames);
    let stats: aya::maps::PerCpuArray<_, svclb_common::counters::Traffic> =
        programs.pins().map("svc_stats").expect("is pinned");
    let total: svclb_common::counters::Traffic =
        stats.get(&placed.id, 0).expect("is readable").iter().copied().sum();
    let bytes: usize = frames.iter().map(|frame| frame.len() - 14).sum();
    assert_eq!((total.flows, total.packets, total.bytes), (1, frames.len() as u64, bytes as u64));
}

#[test]
fn a_complete_datagram_is_forgotten() {
    for a in families() {
        let programs = load(&a);
        let frames = fragments(a.client, a.vip);
        for twice in [&frames[0], &frames[1], &frames[1], &frames[2]] {
            passes(&programs, twice);
            assert_eq!(remembered(&programs), (1, 0), "the last one has not come");
        }
        passes(&programs, &frames[3]);
        assert_eq!(remembered(&programs), (0, 0));
        // Before long, the number is another datagram's.
        wait_for("it to be forgotten", SOON, || {
            (programs.run(Ingress, &frames[1]).0 == Action::Drop).then_some(())
        })
        .expect("it is");
        assert_eq!(programs.count(Outcome::FragmentHeld), 1);
    }
}

#[test]
fn two_programs_in_a_row_may_see_the_same_fragments() {
    for a in families() {
        let programs = load(&a);
        // Of no service, so that the second program does not know them by their note.
        let frames = fragments(a.backends[0], a.other_client);
        let quick = (0..100).any(|_| {
            let began = Instant::now();
            for frame in frames.iter().flat_map(|frame| [frame; 2]) {
                let (action, _) = programs.run(Egress, frame);
                if began.elapsed() < LINGER {
                    assert_eq!(action, Action::Next);
                }
            }
            began.elapsed() < LINGER
        });
        assert!(quick, "this machine is too slow to see anything");
    }
}

fn passes(programs: &Programs, frame: &[u8]) {
    assert_eq!(programs.run(Ingress, frame).0, Action::Next);
}

#[test]
fn a_number_that_is_used_again_never_meets_the_old_verdict() {
    for a in families() {
        let mut programs = load(&a);
        let placed =
            programs.cluster_ip(a.other_vip, Udp, &[(a.backends[1], true), (a.backends[2], true)]);
        for (n, endpoint) in [(0, 0), (1, 1), (2, 0)] {
            programs.switch(&placed, &[endpoint]);
            let client = port(a.client, 40_000 + n);
            // The last one is lost.
            let sent = &fragments(client, a.other_vip)[..3];
            let out = through(&programs, Ingress, sent);
            assert_eq!(out, fragments(client, a.backends[endpoint + 1])[..3]);
            assert_eq!(remembered(&programs).0, 1);
        }
    }
}

#[test]
fn each_hook_of_each_device_knows_its_own_datagrams() {
    let a = v4();
    let programs = load(&a);
    let frames = fragments(a.client, a.vip);
    assert_eq!(programs.run_on(Ingress, 1, &frames[0]).0, Action::Next);
    let answer = fragments(a.backends[0], a.client);
    let device = Cable::new(&programs).expect("a device can be made");
    assert_eq!(device.run(&programs, Ingress, &frames[1]).0, Action::Drop, "another device");
    assert_eq!(programs.run_on(Ingress, 1, &frames[1]).0, Action::Next);
    assert_eq!(programs.run_on(Egress, 1, &answer[0]).0, Action::Next);
    assert_eq!(programs.run_on(Egress, 1, &answer[1]).0, Action::Next);
    assert_eq!(programs.count(Outcome::FragmentHeld), 1);
}

#[test]
fn fragments_of_tcp_go_where_their_first_one_goes() {
    for a in families() {
        let programs = load(&a);
        let segment = |dst| {
            let packet = Packet::tcp(a.client, dst).flags(flags::SYN).payload(&[7; 3_000]);
            packet.ethernet().fragments(SIZE)
        };
        let out = through(&programs, Ingress, &segment(a.vip));
        assert_eq!(out, segment(a.backends[0]));
    }
}

#[test]
fn extension_headers_stand_before_and_behind_the_fragment_header() {
    let a = v6();
    let programs = load(&a);
    let packet = |dst, payload: &[u8]| {
        let packet = Packet::udp(a.client, dst).payload(payload).ethernet();
        packet.extension(Extension::hop_by_hop(1)).extension(Extension::routing(0))
    };
    let payload = [7; 3_000];
    let out = through(&programs, Ingress, &packet(a.vip, &payload).fragments(SIZE));
    assert_eq!(out, packet(a.backends[0], &payload).fragments(SIZE));
    // A destination option is the beginning of what is cut.
    let behind = |dst, id| {
        let packet = Packet::udp(a.client, dst).payload(&payload).ethernet().id(id);
        packet.extension(Extension::fragment(0, true, id)).extension(Extension::destination(1))
    };
    let [from, to] = [behind(a.vip, 9).build(), behind(a.backends[0], 9).build()];
    assert_eq!(through(&programs, Ingress, &[from]), [to]);
}

#[test]
fn a_datagram_that_is_cut_twice_is_malformed() {
    let a = v6();
    let programs = load(&a);
    let part = Extension::fragment(0, true, 9);
    let packet = Packet::udp(a.client, a.vip).payload(&[7; 16]).extension(part.clone());
    untouched(&programs, Ingress, &packet.extension(part).ethernet().build());
    assert_eq!(programs.count(Outcome::Malformed), 1);
}

#[test]
fn a_first_fragment_without_its_transport_header_is_dropped_and_so_are_the_others() {
    for a in families() {
        for size in [8, 16] {
            let programs = load(&a);
            let frames = Packet::tcp(a.client, a.vip).ethernet().fragments(size);
            dropped(&programs, Ingress, &frames[0]);
            dropped(&programs, Ingress, &frames[1]);
            assert_eq!(programs.count(Outcome::FragmentTiny), 1, "{size} bytes");
            assert_eq!(programs.count(Outcome::FragmentDropped), 1);
        }
        // Options count as well.
        let programs = load(&a);
        let packet = Packet::tcp(a.client, a.vip).tcp_options(&[1; 8]).ethernet();
        dropped(&programs, Ingress, &packet.fragments(24)[0]);
        assert_eq!(programs.count(Outcome::FragmentTiny), 1);
        // UDP's fits into the smallest.
        let seen = through(&programs, Ingress, &udp(a.client, a.vip).fragments(8)[..2]);
        assert_eq!(seen, udp(a.client, a.backends[0]).fragments(8)[..2]);
    }
}

#[test]
fn fragments_of_no_service_pass_untouched_and_uncounted() {
    for a in families() {
        let programs = load(&a);
        for dst in [a.stranger, a.backends[0]] {
            for frame in &fragments(a.client, dst) {
                untouched(&programs, Ingress, frame);
            }
        }
        let mut backwards = fragments(a.client, a.stranger);
        backwards.reverse();
        for frame in &backwards {
            untouched(&programs, Ingress, frame);
        }
        let fragment = |outcome: &&Outcome| outcome.name().starts_with("fragment");
        for outcome in Outcome::ALL.iter().filter(fragment) {
            assert_eq!(programs.count(*outcome), 0, "{}", outcome.name());
        }
        assert_eq!(remembered(&programs), (0, 0));
    }
}

#[test]
fn fragments_that_contradict_themselves_are_untouched_and_counted() {
    for a in families() {
        let programs = load(&a);
        let packet =
            |bytes: usize| Packet::udp(a.client, a.vip).payload(&vec![7; bytes]).ethernet();
        let odd = [
            // Only the last may be of any length.
            packet(5).fragment(0, true),
            packet(5).fragment(8, true),
            // Longer than any datagram.
            packet(100).fragment(0xfff8, false),
        ];
        for packet in &odd {
            untouched(&programs, Ingress, &packet.build());
        }
        assert_eq!(programs.count(Outcome::Malformed), odd.len() as u64);
        assert_eq!(remembered(&programs), (0, 0));
    }
}

#[test]
fn a_ping_in_fragments_is_left_alone() {
    let a = v4();
    let programs = load(&a);
    let ping = Packet::icmp(a.client.ip(), a.vip.ip(), 8, 0).payload(&[7; 3_000]).ethernet();
    for frame in ping.fragments(SIZE) {
        untouched(&programs, Ingress, &frame);
    }
    assert_eq!(programs.count(Outcome::EchoAnswered), 0);
}
