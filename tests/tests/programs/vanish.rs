//! Flows whose endpoint or frontend goes away.

use std::net::SocketAddr;

use svclb::plan::operation::{
    FrontendAddress, Operation,
    Protocol::{Tcp, Udp},
};
use svclb_common::outcome::Outcome;
use svclb_tests::{
    packet::{Packet, Seen, flags},
    programs::{
        Action,
        Hook::{self, Egress, Ingress},
        Placed, Programs,
    },
};

use crate::{
    addresses::{Addresses, families, v4},
    dropped, opening, pass, refused, reply_to, right, segment, untouched,
};

/// A service with two endpoints and an established connection to the first: as it is between the
/// hooks.
fn connected(a: &Addresses) -> (Programs, Placed, Seen) {
    let mut programs = Programs::load(Programs::options()).expect("the programs load");
    let placed = programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
    let between = connect(&mut programs, &placed, a.client, a.vip);
    (programs, placed, between)
}

/// Opens a connection to the first endpoint; then only the second takes new ones.
fn connect(
    programs: &mut Programs,
    placed: &Placed,
    client: SocketAddr,
    frontend: SocketAddr,
) -> Seen {
    programs.switch(placed, &[0]);
    let between = pass(programs, Ingress, &opening(Tcp, client, frontend));
    pass(programs, Egress, &reply_to(Tcp, &between));
    programs.switch(placed, &[1]);
    between
}

/// Runs a segment that must be answered by a reset whose sequence number is the one that the
/// segment expects next.
fn reset(programs: &Programs, hook: Hook, src: SocketAddr, dst: SocketAddr) {
    const EXPECTED: u32 = 0x1234_5678;
    let frame = Packet::tcp(src, dst).flags(flags::ACK).numbers(7, EXPECTED).ethernet().build();
    let (action, out) = programs.run(hook, &frame);
    assert_eq!(action, Action::Back, "{src} to {dst}");
    let seen = right(&out);
    let tcp = seen.tcp.expect("a TCP header");
    assert_eq!((seen.src, seen.dst), (dst, src));
    assert_eq!((tcp.flags, tcp.seq), (flags::RST, EXPECTED));
}

#[test]
fn a_connection_whose_endpoint_vanished_is_reset_at_both_ends() {
    for a in families() {
        let (mut programs, placed, between) = connected(&a);
        programs.vanish(&placed, 0);
        assert_eq!(programs.sweep(), 1, "neither end knows");
        assert_eq!(programs.count(Outcome::Severed), 1);
        reset(&programs, Ingress, a.client, a.vip);
        assert_eq!(programs.sweep(), 1, "the endpoint does not know");
        reset(&programs, Egress, between.dst, between.src);
        assert_eq!(programs.sweep(), 0);
        assert_eq!(programs.count(Outcome::EndpointGone), 2);
        assert_eq!(programs.count(Outcome::Severed), 1, "once");
        // As often as it is asked.
        reset(&programs, Ingress, a.client, a.vip);
    }
}

#[test]
fn a_masqueraded_connection_whose_endpoint_vanished_is_reset_at_both_ends() {
    for a in families() {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        let endpoints = [(a.backends[2], false), (a.backends[3], false)];
        let placed = programs.node_port(a.node, Tcp, &endpoints);
        programs.switch(&placed, &[0]);
        let between = pass(&programs, Ingress, &opening(Tcp, a.other_client, a.node));
        let sent = pass(&programs, Egress, &opening(Tcp, between.src, between.dst));
        let back = pass(&programs, Ingress, &reply_to(Tcp, &sent));
        pass(&programs, Egress, &reply_to(Tcp, &between));
        assert_eq!(back.dst, a.other_client);
        programs.vanish(&placed, 0);
        assert_eq!(programs.sweep(), 1);
        reset(&programs, Ingress, sent.dst, sent.src);
        reset(&programs, Ingress, a.other_client, a.node);
        assert_eq!(programs.sweep(), 0);
    }
}

#[test]
fn a_connection_whose_endpoint_is_merely_leaving_goes_on() {
    for a in families() {
        let (mut programs, placed, between) = connected(&a);
        programs.stop_serving(&placed, 0);
        assert_eq!(programs.sweep(), 0);
        let seen = pass(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
        assert_eq!(seen.dst, a.backends[0]);
        pass(&programs, Egress, &segment(between.dst, between.src, flags::ACK));
        assert_eq!(programs.count(Outcome::Severed), 0);
    }
}

#[test]
fn a_reset_on_a_severed_connection_is_swallowed_and_its_sender_knows() {
    let a = v4();
    let (mut programs, placed, between) = connected(&a);
    programs.vanish(&placed, 0);
    assert_eq!(programs.sweep(), 1);
    dropped(&programs, Ingress, &segment(a.client, a.vip, flags::RST));
    assert_eq!(programs.sweep(), 1);
    dropped(&programs, Egress, &segment(between.dst, between.src, flags::RST | flags::ACK));
    assert_eq!(programs.sweep(), 0);
}

#[test]
fn a_new_connection_takes_the_place_of_a_severed_one_at_once() {
    for a in families() {
        let (mut programs, placed, _) = connected(&a);
        programs.vanish(&placed, 0);
        let _ = programs.sweep();
        let again = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
        assert_eq!(again.dst, a.backends[1]);
        assert_eq!(programs.sweep(), 0, "the new connection is whole");
        pass(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
    }
}

#[test]
fn an_attempt_to_connect_to_an_endpoint_that_vanished_is_forgotten() {
    let a = v4();
    let mut programs = Programs::load(Programs::options()).expect("the programs load");
    let placed = programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
    programs.switch(&placed, &[0]);
    pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
    programs.switch(&placed, &[1]);
    programs.vanish(&placed, 0);
    assert_eq!(programs.sweep(), 0);
    assert_eq!(programs.count(Outcome::Forgotten), 1);
    let again = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
    assert_eq!(again.dst, a.backends[1]);
}

#[test]
fn without_the_option_a_connection_is_left_to_itself() {
    let a = v4();
    let options = svclb::loader::Options { reset_vanished: false, ..Programs::options() };
    let mut programs = Programs::load(options).expect("the programs load");
    let placed = programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
    connect(&mut programs, &placed, a.client, a.vip);
    programs.vanish(&placed, 0);
    assert_eq!(programs.sweep(), 0);
    let seen = pass(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
    assert_eq!(seen.dst, a.backends[0]);
}

#[test]
fn what_the_agent_says_in_the_name_of_a_severed_connection_passes() {
    for a in families() {
        let (mut programs, placed, between) = connected(&a);
        programs.vanish(&placed, 0);
        let _ = programs.sweep();
        untouched(&programs, Egress, &segment(a.vip, a.client, flags::ACK));
        untouched(&programs, Egress, &segment(between.src, between.dst, flags::ACK));
    }
}

#[test]
fn a_udp_flow_is_forgotten_when_its_frontend_is_removed_though_its_endpoint_serves() {
    for a in families() {
        let mut programs = Programs::load(Programs::options()).expect("the programs load");
        programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
        let between = pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        pass(&programs, Egress, &reply_to(Udp, &between));
        assert_eq!(programs.sweep(), 0);
        assert_eq!(programs.count(Outcome::Forgotten), 0);
        programs.apply(Operation::RemoveFrontend(FrontendAddress::Address(a.vip, Udp)));
        let _ = programs.sweep();
        assert_eq!(programs.count(Outcome::Forgotten), 1);
        refused(&programs, Ingress, &opening(Udp, a.client, a.vip));
    }
}
