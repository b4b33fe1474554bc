//! The four ways of an error through a node: about a request or about a reply, at each hook.

use svclb_tests::lab::{SOON, wait_for};

use super::*;
use crate::{
    collisions::{masqueraded, port_after, stay_on_this_cpu},
    untouched,
};

/// Every type that reports what became of a packet, with its codes (RFC 792, RFC 1812, RFC 4443).
const KINDS_V4: [(u8, u8); 3] = [(3, 15), (11, 1), (12, 2)];
const KINDS_V6: [(u8, u8); 4] = [(1, 8), (2, 0), (3, 1), (4, 3)];

/// All types and codes of a family.
fn kinds(of: IpAddr) -> Vec<(u8, u8)> {
    let kinds: &[(u8, u8)] = if of.is_ipv4() { &KINDS_V4 } else { &KINDS_V6 };
    kinds.iter().flat_map(|(kind, last)| (0..=*last).map(|code| (*kind, code))).collect()
}

/// How an error from `from` about a packet between `about` comes out: from whom, about what.
struct Way {
    hook: Hook,
    from: IpAddr,
    about: Ends,
    out_from: IpAddr,
    out_about: Ends,
}

/// Runs every type and code on a way, with quotes as short as IPv4 allows and as long as they get.
fn travels(programs: &Programs, flow: &Flow, way: &Way) {
    let build = |ends: Ends| quoted(flow.protocol, ends).build();
    let (about, out) = (build(way.about), build(way.out_about));
    let header = if way.from.is_ipv4() { 20 } else { 40 };
    for kind in kinds(way.from) {
        for len in [header + 8, header + 18, header + 21, about.len()] {
            let error = message(way.from, way.about.0.ip(), kind, &about[..len]);
            let expected = message(way.out_from, way.out_about.0.ip(), kind, &out[..len]);
            becomes(programs, way.hook, &error, &expected);
        }
    }
}

/// The flow's errors on all ways that change them, from `from` on the client's side and from
/// `beyond` on the backend's.
fn ways(flow: &Flow, router: IpAddr) -> [Way; 4] {
    let (received, between, sent) = (flow.received, flow.between, flow.sent);
    let way =
        |hook, about, out_from, out_about| Way { hook, from: router, about, out_from, out_about };
    [
        way(Ingress, sent, router, between),
        way(Egress, between, router, received),
        way(Ingress, reversed(received), router, reversed(between)),
        way(Egress, reversed(between), sent.0.ip(), reversed(sent)),
    ]
}

#[test]
fn an_error_about_a_masqueraded_packet_travels_all_four_ways() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        for way in ways(&flow, flow.router()) {
            travels(programs, &flow, &way);
        }
    });
}

#[test]
fn an_error_about_a_hairpin_is_given_the_ports_of_its_flow() {
    each(|programs, a, protocol| {
        let flow = Flow::hairpin(programs, a, protocol);
        assert_ne!(flow.between.0, flow.received.0);
        for way in ways(&flow, flow.router()) {
            travels(programs, &flow, &way);
        }
    });
}

#[test]
fn an_error_about_a_packet_that_keeps_its_client_is_translated_where_its_packets_are() {
    each(|programs, a, protocol| {
        let flow = Flow::plain(programs, a, protocol);
        assert_eq!(flow.sent, flow.between, "not masqueraded");
        let [came_back, to_client, from_client, to_backend] = ways(&flow, flow.router());
        travels(programs, &flow, &to_client);
        travels(programs, &flow, &from_client);
        for way in [came_back, to_backend] {
            let about = quoted(protocol, way.about);
            let error = unreachable(way.from, &about, way.about.0.ip());
            untouched(programs, way.hook, &error.build());
        }
    });
}

/// Whoever stands for the frontend speaks in its name; routers keep theirs.
#[test]
fn a_backends_own_error_comes_from_the_frontend() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let (received, between, sent) = (flow.received, flow.between, flow.sent);
        let backend = sent.1.ip();
        let about = |ends| quoted(protocol, ends);
        let at_node = unreachable(backend, &about(sent), sent.0.ip());
        let back = unreachable(backend, &about(between), between.0.ip());
        becomes(programs, Ingress, &at_node, &back);
        let at_client = unreachable(received.1.ip(), &about(received), received.0.ip());
        becomes(programs, Egress, &back, &at_client);
    });
}

#[test]
fn a_clients_own_error_comes_from_the_masquerade_address() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let ends = [flow.received, flow.between, flow.sent].map(reversed);
        let [first, second, third] =
            ends.map(|(src, dst)| unreachable(dst.ip(), &quoted(protocol, (src, dst)), src.ip()));
        becomes(programs, Ingress, &first, &second);
        becomes(programs, Egress, &second, &third);
    });
}

/// A connection straight to a backend that has stepped aside for a service's flow.
#[test]
fn an_error_about_a_direct_connection_that_was_moved_finds_it() {
    each(|programs, a, protocol| {
        let flow = Flow::plain(programs, a, protocol);
        let direct = Flow::open(programs, a, protocol, (flow.received.0, flow.between.1));
        assert_ne!(direct.between, direct.received);
        let [_, to_client, from_client, _] = ways(&direct, direct.router());
        travels(programs, &direct, &to_client);
        travels(programs, &direct, &from_client);
    });
}

#[test]
fn an_error_about_no_flow_is_untouched_and_opens_none() {
    each(|programs, a, protocol| {
        let flow = Flow::masqueraded(programs, a, protocol);
        let opened = programs.count(Outcome::Opened);
        let other = |end: SocketAddr| SocketAddr::new(end.ip(), end.port() ^ 1);
        for way in ways(&flow, flow.router()) {
            for about in [(other(way.about.0), way.about.1), (way.about.0, other(way.about.1))] {
                let error = unreachable(way.from, &quoted(protocol, about), about.0.ip());
                untouched(programs, Ingress, &error.build());
                untouched(programs, Egress, &error.build());
            }
        }
        assert_eq!(programs.count(Outcome::Opened), opened);
        assert_eq!(programs.count(Outcome::ErrorTranslated), 0);
    });
}

/// Netfilter's masquerade has taken a port that a flow waits at: the node's own connection was given
/// another one.
#[test]
fn an_error_about_the_nodes_own_connection_that_was_moved_finds_it() {
    each(|programs, a, protocol| {
        stay_on_this_cpu();
        let backend = a.backends[2];
        programs.node_port(a.node, protocol, &[(backend, false)]);
        let taken = masqueraded(programs, &a, protocol);
        // Another packet of svclb's, so that the port is not the last one that was sent.
        Flow::open(programs, a, protocol, (port_after(a.other_client), a.node));
        let moved = pass(programs, Egress, &opening(protocol, taken, backend));
        assert_ne!(moved.src, taken);
        let error = |ends: Ends| unreachable(a.stranger.ip(), &quoted(protocol, ends), ends.0.ip());
        let (sent, own) = ((moved.src, backend), (taken, backend));
        becomes(programs, Ingress, &error(sent), &error(own));
        // The node does not hear of itself from elsewhere.
        untouched(programs, Ingress, &error(reversed(own)).build());
    });
}

/// Else whoever can forge errors could keep flows for ever.
#[test]
fn an_error_leaves_the_state_and_the_age_of_its_flow_alone() {
    for a in families() {
        let mut options = Programs::options();
        options.timeouts.udp_opening = 1;
        let mut programs = Programs::load(options).expect("the programs load");
        let flow = Flow::masqueraded(&mut programs, a, Udp);
        let ways = ways(&flow, flow.router());
        let expired = || {
            for way in &ways {
                let error = unreachable(way.from, &quoted(Udp, way.about), way.about.0.ip());
                programs.run(way.hook, &error.build());
            }
            programs.sweep();
            (programs.count(Outcome::Expired) > 0).then_some(())
        };
        wait_for("the flow to expire among errors", SOON, expired).expect("in time");
        assert!(programs.count(Outcome::ErrorTranslated) > 0);
    }
}
