//! Odd errors: never rewritten into something else, never counted as what they are not.

use svclb_tests::{
    packet::{Extension, Field, Link, explain},
    programs::Action,
};

use super::*;
use crate::{
    addresses::{v4, v6},
    untouched,
};

/// An error that must pass untouched, counted as `outcome`, at ingress on the way to a backend.
fn counted(programs: &Programs, error: &Packet, outcome: Outcome) {
    let before = programs.count(outcome);
    untouched(programs, Ingress, &error.build());
    assert_eq!(programs.count(outcome), before + 1, "{outcome:?}");
}

/// The same, counted as nothing.
fn ignored(programs: &Programs, hook: Hook, error: &Packet) {
    let count = || Outcome::ALL.iter().map(|outcome| programs.count(*outcome)).sum::<u64>();
    let before = count();
    untouched(programs, hook, &error.build());
    assert_eq!(count(), before);
}

/// A router's error to the frontend about a reply that `change` has changed.
fn about_reply(flow: &Flow, change: impl Fn(Packet) -> Packet) -> Packet {
    let (src, dst) = reversed(flow.received);
    unreachable(flow.router(), &change(quoted(flow.protocol, (src, dst))), src.ip())
}

/// What [`about_reply`] must become.
fn translated(flow: &Flow, change: impl Fn(Packet) -> Packet) -> Packet {
    let (src, dst) = reversed(flow.between);
    unreachable(flow.router(), &change(quoted(flow.protocol, (src, dst))), src.ip())
}

/// A change that must not be in the way.
fn survives(programs: &Programs, flow: &Flow, change: impl Fn(Packet) -> Packet) {
    let (error, expected) = (about_reply(flow, &change), translated(flow, &change));
    becomes(programs, Ingress, &error, &expected);
}

#[test]
fn a_truncated_quote_is_untouched_and_counted() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let (src, dst) = reversed(flow.received);
        let quote = quoted(protocol, (src, dst)).build();
        let least = if src.is_ipv4() { 28 } else { 48 };
        for len in 0..least {
            let error = message(flow.router(), src.ip(), (3, 1), &quote[..len]);
            counted(programs, &error, Outcome::QuoteTruncated);
        }
    });
}

/// The bytes behind the packet's own length are a short frame's padding.
#[test]
fn what_lies_behind_the_packet_is_no_quote() {
    let (mut programs, a) = (load(), v4());
    let flow = Flow::masqueraded(&mut programs, a, Udp);
    let error = about_reply(&flow, |packet| packet);
    for len in 28..56 {
        let short = error.clone().set(Field::Ipv4TotalLength, len);
        counted(&programs, &short, Outcome::QuoteTruncated);
    }
    let none = error.set(Field::Ipv4TotalLength, 27);
    counted(&programs, &none, Outcome::Truncated);
}

#[test]
fn a_quote_that_contradicts_itself_is_untouched_and_counted() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let wrong = |field, value| about_reply(&flow, |packet| packet.set(field, value));
        let mut errors = vec![wrong(Field::Version, 5), wrong(Field::Version, 0)];
        if a.vip.is_ipv4() {
            errors.extend([0, 4].map(|words| wrong(Field::Ipv4HeaderWords, words)));
            errors.extend([1, 19, 27].map(|len| wrong(Field::Ipv4TotalLength, len)));
        } else {
            errors.extend([1, 7].map(|len| wrong(Field::Ipv6PayloadLength, len)));
        }
        for error in errors {
            counted(programs, &error, Outcome::QuoteMalformed);
        }
    });
}

/// Who did not send the quoted packet has no use for the error, and a forger may have one.
#[test]
fn an_error_to_another_than_the_quoted_source_is_untouched_and_counted() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let about = quoted(protocol, reversed(flow.received));
        programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
        let error = unreachable(flow.router(), &about, a.vip.ip());
        counted(programs, &error, Outcome::QuoteMalformed);
        let request = quoted(protocol, flow.between);
        let astray = unreachable(flow.router(), &request, a.stranger.ip());
        let before = programs.count(Outcome::QuoteMalformed);
        untouched(programs, Egress, &astray.build());
        assert_eq!(programs.count(Outcome::QuoteMalformed), before + 1);
    });
}

#[test]
fn a_quoted_fragment_is_known_by_its_ports() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        survives(programs, &flow, |packet| packet.fragment(0, true));
        let later = about_reply(&flow, |packet| packet.fragment(1232, true));
        counted(programs, &later, Outcome::QuoteFragment);
        let last = about_reply(&flow, |packet| packet.fragment(8, false));
        counted(programs, &last, Outcome::QuoteFragment);
    });
}

#[test]
fn quoted_ipv4_options_are_handled() {
    for protocol in [Tcp, Udp] {
        let (mut programs, a) = (load(), v4());
        let flow = Flow::masqueraded(&mut programs, a, protocol);
        for words in 1..=10 {
            survives(&programs, &flow, |packet| packet.ipv4_options(&vec![1; words * 4]));
        }
    }
}

#[test]
fn quoted_ipv6_extension_headers_are_walked() {
    for protocol in [Tcp, Udp] {
        let (mut programs, a) = (load(), v6());
        let flow = Flow::masqueraded(&mut programs, a, protocol);
        let chains: [&[Extension]; 4] = [
            &[Extension::hop_by_hop(0)],
            &[Extension::hop_by_hop(0), Extension::destination(3)],
            &[Extension::routing(0), Extension::destination(0)],
            &[Extension::fragment(0, false, 7)],
        ];
        let with = |packet: Packet, chain: &[Extension]| {
            chain.iter().fold(packet, |packet, header| packet.extension(header.clone()))
        };
        for chain in chains {
            survives(&programs, &flow, |packet| with(packet, chain));
        }
        let many = vec![Extension::destination(0); 9];
        let far = vec![Extension::destination(80); 3];
        for chain in [many, far, vec![Extension::routing(1)]] {
            let error = about_reply(&flow, |packet| with(packet, &chain));
            counted(&programs, &error, Outcome::QuoteExtensions);
        }
    }
}

#[test]
fn an_errors_own_options_and_extension_headers_are_handled() {
    for (a, protocol) in [(v4(), Udp), (v6(), Udp), (v4(), Tcp), (v6(), Tcp)] {
        let mut programs = load();
        let flow = Flow::masqueraded(&mut programs, a, protocol);
        let wrap = |error: Packet| match a.vip {
            SocketAddr::V4(_) => error.ipv4_options(&[1; 8]),
            SocketAddr::V6(_) => error.extension(Extension::hop_by_hop(1)),
        };
        let (error, expected) = (about_reply(&flow, |packet| packet), translated(&flow, |p| p));
        becomes(&programs, Ingress, &wrap(error), &wrap(expected));
    }
}

#[test]
fn a_quoted_udp_checksum_of_zero_stays_zero() {
    let (mut programs, a) = (load(), v4());
    let flow = Flow::masqueraded(&mut programs, a, Udp);
    survives(&programs, &flow, Packet::no_checksum);
}

/// A quoted checksum that would come out as zero, "none", is written as 0xffff.
#[test]
fn a_quoted_udp_checksum_never_becomes_zero() {
    for a in families() {
        let mut programs = load();
        let flow = Flow::masqueraded(&mut programs, a, Udp);
        // The payload makes up for the rest: the sum of the translated packet is zero.
        let sum = |bytes: [u8; 2]| {
            let (src, dst) = reversed(flow.between);
            let frame = Packet::udp(src, dst).payload(&bytes).build();
            let at = if src.is_ipv4() { 26 } else { 46 };
            u16::from_be_bytes([frame[at], frame[at + 1]])
        };
        let payload = sum([0, 0]).to_be_bytes();
        assert_eq!(sum(payload), 0xffff);
        survives(&programs, &flow, |packet| packet.payload(&payload));
    }
}

/// A quoted packet that the kernel has joined of many says no length (BIG TCP).
#[test]
fn a_quote_without_a_length_is_translated() {
    let (mut programs, a) = (load(), v4());
    let flow = Flow::masqueraded(&mut programs, a, Tcp);
    survives(&programs, &flow, |packet| packet.set(Field::Ipv4TotalLength, 0));
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let mut frame = about_reply(&flow, |packet| packet).build();
        let last = frame.len() - 1;
        frame[last] ^= 0x55;
        let wrong = explain(&frame, Link::Ethernet).expect_err("a wrong checksum");
        let (action, out) = programs.run(Ingress, &frame);
        assert_eq!(action, Action::Next);
        assert_ne!(out, frame, "translated");
        assert_eq!(explain(&out, Link::Ethernet), Err(wrong));
    });
}

#[test]
fn an_error_about_icmp_is_untouched() {
    for a in families() {
        let mut programs = load();
        let flow = Flow::masqueraded(&mut programs, a, Udp);
        let frontend = flow.received.1.ip();
        let echo = if frontend.is_ipv4() { 8 } else { 128 };
        let ping = Packet::icmp(frontend, a.client.ip(), echo, 0).payload(&[0; 64]);
        ignored(&programs, Ingress, &unreachable(flow.router(), &ping, frontend));
        // Whatever that one is about.
        let inner = quoted(Udp, flow.received).build();
        let nested = Packet::icmp(frontend, a.client.ip(), 3, 3).payload(&inner);
        ignored(&programs, Ingress, &unreachable(flow.router(), &nested, frontend));
    }
}

/// Redirects and source quench are between neighbours, or history; the rest is no error.
#[test]
fn other_messages_are_untouched() {
    for a in families() {
        let mut programs = load();
        let flow = Flow::masqueraded(&mut programs, a, Udp);
        let errors: &[u8] = if a.vip.is_ipv4() { &[3, 11, 12] } else { &[1, 2, 3, 4] };
        let (about, request) = (reversed(flow.received), flow.between);
        for kind in (0..=255).filter(|kind| !errors.contains(kind)) {
            let quote = |ends: Ends| quoted(Udp, ends).build();
            let at_node = message(flow.router(), about.0.ip(), (kind, 1), &quote(about));
            ignored(&programs, Ingress, &at_node);
            let leaving = message(flow.router(), request.0.ip(), (kind, 1), &quote(request));
            ignored(&programs, Egress, &leaving);
        }
    }
}

/// Nobody's errors are not even read to their end.
#[test]
fn errors_between_strangers_are_not_counted() {
    for a in families() {
        let mut programs = load();
        Flow::masqueraded(&mut programs, a, Udp);
        let about = quoted(Udp, (a.client, a.stranger)).set(Field::Version, 9);
        for hook in [Ingress, Egress] {
            ignored(&programs, hook, &unreachable(a.stranger.ip(), &about, a.client.ip()));
        }
    }
}

/// Random damage, from a fixed walk: what comes out is what went in, or has its length, and is right
/// where that was right.
#[test]
fn random_damage_to_errors_is_never_rewritten_into_something_else() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let frame = about_reply(&flow, |packet| packet).build();
        let mut state = 0x5eed_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for _ in 0..5_000 {
            let mut damaged = frame.clone();
            for _ in 0..=next() % 3 {
                let at = 14 + next() % (damaged.len() - 14);
                damaged[at] = next() as u8;
            }
            let (action, out) = programs.run(Ingress, &damaged);
            if action == Action::Next && out != damaged {
                assert_eq!(out.len(), damaged.len());
                let (was, is) = (explain(&damaged, Link::Ethernet), explain(&out, Link::Ethernet));
                assert!(was.is_err() || is.is_ok(), "{damaged:02x?}\n{out:02x?}");
            }
        }
    });
}
