//! What is SCTP's own: its checksum, its chunks, its answers. (`nat` has it beside TCP and UDP.)

use std::net::SocketAddr;

use svclb::plan::operation::Protocol::Sctp;
use svclb_common::outcome::Outcome;
use svclb_tests::{
    packet::{
        Field, Packet,
        sctp::{self, kind},
    },
    programs::{
        Action,
        Hook::{self, Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port, v4, v6},
    chunk, dropped, opening, pass, reply_to, right, untouched,
};

/// Where SCTP's checksum is in a frame between these ends.
fn checksum(frame: &[u8], dst: SocketAddr) -> &[u8] {
    let start = 14 + if dst.is_ipv4() { 20 } else { 40 };
    &frame[start..][sctp::CHECKSUM]
}

fn each(mut test: impl FnMut(&mut Programs, Addresses)) {
    for addresses in families() {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        test(&mut programs, addresses);
    }
}

/// A packet of many chunks, `size` bytes in all behind the common header.
fn large(src: SocketAddr, dst: SocketAddr, size: usize) -> Packet {
    let data = |i: usize| sctp::chunk(kind::DATA, 3, &[i as u8; 96]);
    let chunks: Vec<u8> = (0..size / 100).flat_map(data).collect();
    Packet::sctp(src, dst, 0xcafe_f00d).payload(&chunks).ethernet()
}

/// The multiplication that brings a CRC up to date depends on the length alone: packets of all sizes
/// through all four rewrites, the test's own CRC taken of the whole.
#[test]
fn sctp_checksums_are_right_after_each_rewrite_at_any_length() {
    each(|programs, a| {
        programs.node_port(a.node, Sctp, &[(a.backends[2], false)]);
        let between = pass(programs, Ingress, &opening(Sctp, a.other_client, a.node));
        let sent = pass(programs, Egress, &opening(Sctp, between.src, between.dst));
        pass(programs, Ingress, &reply_to(Sctp, &sent));
        for size in [100, 200, 1_400, 3_500] {
            let to_endpoint = large(a.other_client, a.node, size).build();
            let frame = large(between.src, between.dst, size).build();
            let back = large(sent.dst, sent.src, size).build();
            let reply = large(between.dst, between.src, size).build();
            for (hook, frame, dst) in [
                (Ingress, to_endpoint, between.dst),
                (Egress, frame, sent.dst),
                (Ingress, back, between.src),
                (Egress, reply, a.other_client),
            ] {
                let (before, seen) = (right(&frame), pass(programs, hook, &frame));
                assert_eq!(seen.dst, dst);
                assert_eq!((seen.tag, seen.payload), (before.tag, before.payload));
            }
        }
    });
}

/// Ethernet frames are at least 60 bytes; the padding is not SCTP's.
#[test]
fn padding_behind_an_sctp_packet_is_not_part_of_it() {
    each(|programs, a| {
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        let frame = [opening(Sctp, a.client, a.vip), vec![0xee; 11]].concat();
        let (action, out) = programs.run(Ingress, &frame);
        assert_eq!((action, out.len()), (Action::Next, frame.len()));
        assert_eq!(right(&out).dst, a.backends[0]);
    });
}

/// The device is still to compute it.
#[test]
fn an_sctp_checksum_of_zero_stays_zero() {
    each(|programs, a| {
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        let init = sctp::chunk(kind::INIT, 0, b"contents");
        let packet = Packet::sctp(a.client, a.vip, 0).payload(&init).no_checksum().ethernet();
        let (_, out) = programs.run(Ingress, &packet.build());
        let like = opening(Sctp, a.client, a.backends[0]);
        assert_eq!(checksum(&out, a.vip), [0; 4]);
        let without = |frame: &[u8]| {
            let mut frame = frame.to_vec();
            let at = frame.len() - init.len() - 4;
            frame[at..at + 4].fill(0);
            frame
        };
        assert_eq!(out, without(&like), "all else is rewritten");
    });
}

/// Who sends a wrong checksum is not to be helped: it stays as wrong.
#[test]
fn a_wrong_sctp_checksum_stays_wrong() {
    each(|programs, a| {
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        let init = sctp::chunk(kind::INIT, 0, b"contents");
        let packet = Packet::sctp(a.client, a.vip, 0).payload(&init);
        let frame = packet.set(Field::SctpChecksumLow, 0x5a5a).ethernet().build();
        let (action, out) = programs.run(Ingress, &frame);
        assert_eq!(action, Action::Next);
        let start = out.len() - init.len() - sctp::HEADER;
        let (is, right) = (&out[start..][sctp::CHECKSUM], sctp::checksum(&out[start..]));
        assert_ne!(is, right);
        assert_eq!(is[..2], right[..2], "the half that was right");
    });
}

/// Where the port does not change, neither does the checksum: addresses are not part of it.
#[test]
fn a_kept_port_keeps_the_sctp_checksum() {
    each(|programs, a| {
        let endpoint = port(a.backends[0], a.vip.port());
        programs.cluster_ip(a.vip, Sctp, &[(endpoint, true)]);
        let frame = opening(Sctp, a.client, a.vip);
        let (_, out) = programs.run(Ingress, &frame);
        assert_eq!(right(&out).dst, endpoint);
        assert_eq!(checksum(&out, a.vip), checksum(&frame, a.vip));
    });
}

/// RFC 9260, section 8.4: what the association's end is told, and that errors answer no errors.
#[test]
fn sctp_without_a_flow_is_answered_with_an_abort() {
    each(|programs, a| {
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        for (asked, answer) in [
            (kind::DATA, kind::ABORT),
            (kind::SACK, kind::ABORT),
            (kind::INIT_ACK, kind::ABORT),
            (kind::COOKIE_ECHO, kind::ABORT),
            (kind::SHUTDOWN, kind::ABORT),
            (kind::SHUTDOWN_ACK, kind::SHUTDOWN_COMPLETE),
        ] {
            let frame = chunk(a.client, a.vip, asked);
            let (action, out) = programs.run(Ingress, &frame);
            assert_eq!(action, Action::Back);
            let seen = right(&out);
            assert_eq!((seen.src, seen.dst), (a.vip, a.client));
            assert_eq!(seen.tag, right(&frame).tag, "the tag is reflected");
            assert_eq!(seen.payload, [answer, 1, 0, 4]);
        }
        assert_eq!(programs.count(Outcome::SctpNoFlow), 6);
        for asked in [kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::COOKIE_ACK, kind::ERROR] {
            dropped(programs, Ingress, &chunk(a.client, a.vip, asked));
        }
        assert_eq!(programs.count(Outcome::Unanswerable), 4);
    });
}

fn run(
    programs: &Programs,
    hook: Hook,
    (src, dst): (SocketAddr, SocketAddr),
    kind: u8,
) -> SocketAddr {
    pass(programs, hook, &chunk(src, dst, kind)).dst
}

/// An association that is shut down, or aborted, makes room for the next from the same port.
#[test]
fn an_init_after_the_end_of_an_association_is_balanced_anew() {
    let shutdown: &[(bool, u8)] =
        &[(true, kind::SHUTDOWN), (false, kind::SHUTDOWN_ACK), (true, kind::SHUTDOWN_COMPLETE)];
    for end in [shutdown, &[(true, kind::ABORT)], &[(false, kind::ABORT)]] {
        each(|programs, a| {
            let [first, second, ..] = a.backends;
            let placed = programs.cluster_ip(a.vip, Sctp, &[(first, true), (second, true)]);
            programs.switch(&placed, &[0]);
            let (to, from) = ((a.client, a.vip), (first, a.client));
            assert_eq!(run(programs, Ingress, to, kind::INIT), first);
            run(programs, Egress, from, kind::INIT_ACK);
            programs.switch(&placed, &[1]);
            assert_eq!(run(programs, Ingress, to, kind::INIT), first, "a restart stays");
            assert_eq!(run(programs, Ingress, to, kind::DATA), first);
            for (from_client, kind) in end {
                let (hook, ends) = if *from_client { (Ingress, to) } else { (Egress, from) };
                run(programs, hook, ends, *kind);
            }
            assert_eq!(run(programs, Ingress, to, kind::INIT), second);
        });
    }
}

#[test]
fn odd_sctp_packets_pass_untouched_and_counted() {
    for a in [v4(), v6()] {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        let init = sctp::chunk(kind::INIT, 0, b"contents");
        let packet =
            |tag, chunks: &[u8]| Packet::sctp(a.client, a.vip, tag).payload(chunks).ethernet();
        for malformed in [
            packet(7, &init).build(),
            packet(0, &init).set(Field::SctpChunkLength, 3).build(),
            // (The frame's padding could be taken for a chunk.)
            [packet(7, &[]).build(), vec![0; 12]].concat(),
        ] {
            untouched(&programs, Ingress, &malformed);
        }
        assert_eq!(programs.count(Outcome::Malformed), 3);
        untouched(&programs, Ingress, &packet(7, &[0, 0]).build());
        assert_eq!(programs.count(Outcome::Truncated), 1);
    }
}

#[test]
fn a_fragment_of_sctp_is_dropped_and_counted() {
    for a in [v4(), v6()] {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        programs.cluster_ip(a.vip, Sctp, &[(a.backends[0], true)]);
        let init = sctp::chunk(kind::INIT, 0, b"contents");
        let first = Packet::sctp(a.client, a.vip, 0).payload(&init).ethernet().fragment(0, true);
        dropped(&programs, Ingress, &first.build());
        assert_eq!(programs.count(Outcome::SctpFragment), 1);
    }
}
