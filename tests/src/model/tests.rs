//! The model against the contract's rows, without a kernel.

use std::net::{IpAddr, SocketAddr};

use super::{
    Chooser, Condition, Dropped, Endpoint, FirstOf, Frontend, Hook, Kind, Model, Net, Note, Place,
    Ports, Protocol, Rejected, Service, Tables, Tuple, Verdict,
};
use crate::packet::{Packet, flags};

const VIP: &str = "10.96.0.10:80";
const BALANCER: &str = "192.0.2.100:80";
const NODE_PORT: &str = "192.0.2.1:30080";
const HERE: &str = "10.244.1.1:8080";
const AWAY: &str = "10.244.2.1:8080";
const POD: &str = "10.244.1.9:40000";
const OUTSIDE: &str = "198.51.100.7:40000";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn endpoint(address: &str) -> Endpoint {
    let here = address == HERE;
    Endpoint { address: at(address), here, condition: Condition::Ready, hint: None }
}

/// A service with a ClusterIP, a NodePort and a load balancer's address.
fn tables(endpoints: &[&str], change: impl FnOnce(&mut Service)) -> Tables {
    let mut service = Service {
        internal_local: false,
        external_local: false,
        source_ranges: Vec::new(),
        affinity: false,
        endpoints: endpoints.iter().map(|address| endpoint(address)).collect(),
    };
    change(&mut service);
    let (tcp, frontend) = (Protocol::Tcp, |kind| Frontend { kind, service: 1 });
    Tables {
        services: [(1, service)].into(),
        frontends: [
            ((at(VIP), tcp), frontend(Kind::ClusterIp)),
            ((at(BALANCER), tcp), frontend(Kind::LoadBalancer)),
        ]
        .into(),
        node_ports: [((true, 30_080, tcp), frontend(Kind::NodePort))].into(),
        node: [ip("192.0.2.1")].into(),
        masquerade: [(true, ip("192.0.2.1"))].into(),
        masquerade_ports: (10_240, 10_241),
        pods: vec![Net { ip: ip("10.244.1.0"), prefix: 24 }],
        asked: [VIP, BALANCER, NODE_PORT].map(|text| at(text).ip()).into(),
        answering: [HERE, AWAY].map(|text| at(text).ip()).into(),
    }
}

fn see(model: &mut Model, hook: Hook, tcp: u8, src: SocketAddr, dst: SocketAddr) -> Verdict {
    let frame = Packet::tcp(src, dst).flags(tcp).ethernet().build();
    model.handle(Place { hook, device: 2 }, &frame, &mut FirstOf).0
}

fn asks(model: &mut Model, src: &str, dst: &str) -> Verdict {
    see(model, Hook::Ingress, flags::SYN, at(src), at(dst))
}

fn tcp(src: &str, dst: &str) -> Tuple {
    Tuple::new(Protocol::Tcp, at(src), at(dst))
}

#[test]
fn a_masqueraded_connection_goes_all_four_ways() {
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    assert_eq!(asks(&mut model, OUTSIDE, NODE_PORT), Verdict::Request(tcp(OUTSIDE, AWAY)));
    let sent = see(&mut model, Hook::Egress, flags::SYN, at(OUTSIDE), at(AWAY));
    let masquerade = "192.0.2.1:10240";
    assert_eq!(sent, Verdict::Masqueraded(tcp(masquerade, AWAY)));
    let back = see(&mut model, Hook::Ingress, flags::SYN | flags::ACK, at(AWAY), at(masquerade));
    assert_eq!(back, Verdict::Returned(tcp(AWAY, OUTSIDE)));
    let reply = see(&mut model, Hook::Egress, flags::SYN | flags::ACK, at(AWAY), at(OUTSIDE));
    assert_eq!(reply, Verdict::Reply(tcp(NODE_PORT, OUTSIDE)));
}

/// "Port unreachable" from somebody about a packet, to its source.
fn error(model: &mut Model, hook: Hook, from: &str, src: &str, dst: &str) -> Verdict {
    let about = Packet::tcp(at(src), at(dst)).build();
    let error = Packet::icmp(ip(from), at(src).ip(), 3, 3).payload(&about).ethernet().build();
    model.handle(Place { hook, device: 2 }, &error, &mut FirstOf).0
}

#[test]
fn an_error_is_given_the_ends_of_an_answer() {
    const ROUTER: &str = "203.0.113.5";
    const MASQUERADE: &str = "192.0.2.1:10240";
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    asks(&mut model, OUTSIDE, NODE_PORT);
    see(&mut model, Hook::Egress, flags::SYN, at(OUTSIDE), at(AWAY));
    let mut error = |hook, from, src, dst| error(&mut model, hook, from, src, dst);
    let is = |from, src, dst| Verdict::Translated(ip(from), tcp(src, dst));
    let back = error(Hook::Ingress, ROUTER, MASQUERADE, AWAY);
    assert_eq!(back, is(ROUTER, OUTSIDE, AWAY));
    let told = error(Hook::Egress, ROUTER, OUTSIDE, AWAY);
    assert_eq!(told, is(ROUTER, OUTSIDE, NODE_PORT));
    let told = error(Hook::Egress, "10.244.2.1", OUTSIDE, AWAY);
    assert_eq!(told, is("192.0.2.1", OUTSIDE, NODE_PORT), "the endpoint is the frontend");
    let on = error(Hook::Ingress, ROUTER, NODE_PORT, OUTSIDE);
    assert_eq!(on, is(ROUTER, AWAY, OUTSIDE));
    let sent = error(Hook::Egress, ROUTER, AWAY, OUTSIDE);
    assert_eq!(sent, is("192.0.2.1", AWAY, MASQUERADE), "nobody else is expected from here");
    assert_eq!(error(Hook::Ingress, ROUTER, NODE_PORT, POD), Verdict::Untouched);
}

#[test]
fn who_is_masqueraded_and_who_is_not() {
    for (endpoint, client, frontend, local, masqueraded) in [
        (AWAY, POD, VIP, false, false),
        (HERE, OUTSIDE, NODE_PORT, false, false),
        (AWAY, OUTSIDE, BALANCER, false, true),
        (HERE, "10.244.1.1:50000", VIP, false, true),
        (AWAY, POD, BALANCER, true, false),
    ] {
        let mut model = Model::new(tables(&[endpoint], |s| s.external_local = local));
        assert_eq!(asks(&mut model, client, frontend), Verdict::Request(tcp(client, endpoint)));
        let sent = see(&mut model, Hook::Egress, flags::SYN, at(client), at(endpoint));
        let is_masqueraded = matches!(sent, Verdict::Masqueraded(_));
        assert_eq!(is_masqueraded, masqueraded, "{client} at {frontend}: {sent:?}");
    }
}

#[test]
fn who_hears_a_refusal_and_who_nothing() {
    let refused = Verdict::Rejected(Rejected::NoEndpoint);
    let nobody_here = Verdict::Dropped(Dropped::NoLocalEndpoint);
    let cases: [(&[&str], bool, &str, &str, Verdict); 6] = [
        (&[], false, POD, VIP, refused),
        (&[], false, OUTSIDE, NODE_PORT, refused),
        (&[], true, OUTSIDE, NODE_PORT, refused),
        (&[AWAY], true, POD, VIP, nobody_here),
        (&[AWAY], true, OUTSIDE, BALANCER, nobody_here),
        (&[AWAY], true, POD, BALANCER, Verdict::Request(tcp(POD, AWAY))),
    ];
    for (endpoints, local, client, frontend, expected) in cases {
        let mut model = Model::new(tables(endpoints, |service| {
            (service.internal_local, service.external_local) = (local, local);
        }));
        assert_eq!(asks(&mut model, client, frontend), expected, "{client} at {frontend}");
    }
}

#[test]
fn source_ranges_hold_at_load_balancers_only() {
    let ranges = vec![Net { ip: ip("203.0.113.0"), prefix: 24 }];
    let mut model = Model::new(tables(&[AWAY], |service| service.source_ranges = ranges));
    for client in [POD, OUTSIDE] {
        let outside = Verdict::Dropped(Dropped::SourceRange);
        assert_eq!(asks(&mut model, client, BALANCER), outside);
    }
    let listed = "203.0.113.9:40000";
    assert_eq!(asks(&mut model, listed, BALANCER), Verdict::Request(tcp(listed, AWAY)));
    assert_eq!(asks(&mut model, OUTSIDE, NODE_PORT), Verdict::Request(tcp(OUTSIDE, AWAY)));
}

#[test]
fn tcp_in_mid_stream_is_refused_where_a_frontend_is_asked() {
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    let mut middle = |dst| see(&mut model, Hook::Ingress, flags::ACK, at(POD), at(dst));
    assert_eq!(middle(VIP), Verdict::Rejected(Rejected::NoFlow));
    assert_eq!(middle(BALANCER), Verdict::Rejected(Rejected::NoFlow));
    assert_eq!(middle("10.96.0.10:81"), Verdict::Untouched);
    assert_eq!(middle(AWAY), Verdict::Untouched);
}

/// Takes the last of everything.
struct LastOf;

impl Chooser for LastOf {
    fn endpoint(&mut self, allowed: &[SocketAddr]) -> SocketAddr {
        allowed[allowed.len() - 1]
    }

    fn port(&mut self, allowed: &Ports) -> Option<u16> {
        allowed.range.clone().rev().find(|port| allowed.allow(*port))
    }

    fn is_last_sent(&mut self) -> bool {
        false
    }

    fn is_taken_for_another(&mut self) -> bool {
        false
    }

    fn is_forgotten(&mut self) -> bool {
        false
    }
}

#[test]
fn fragments_share_the_fate_of_their_first_one() {
    let mut model = Model::new(tables(&[HERE], |_| {}));
    let place = Place { hook: Hook::Ingress, device: 2 };
    let frames =
        |dst: &str| Packet::tcp(at(POD), at(dst)).payload(&[7; 100]).ethernet().fragments(48);
    let mut shown = |frame: &[u8]| model.handle(place, frame, &mut FirstOf).0;
    let parts = frames(VIP);
    assert_eq!(shown(&parts[2]), Verdict::Held);
    assert_eq!(shown(&parts[0]), Verdict::Request(tcp(POD, HERE)));
    let [pod, here] = [POD, HERE].map(|end| at(end).ip());
    assert_eq!(shown(&parts[1]), Verdict::Followed(pod, here));
    for part in &frames(AWAY) {
        assert_eq!(shown(part), Verdict::Untouched);
    }
}

#[test]
fn what_was_chosen_is_held_to() {
    let mut model = Model::new(tables(&[HERE, AWAY], |service| service.affinity = true));
    let place = Place { hook: Hook::Ingress, device: 2 };
    let frame = |flags| Packet::tcp(at(POD), at(VIP)).flags(flags).ethernet().build();
    let chosen = Verdict::Request(tcp(POD, AWAY));
    assert_eq!(model.handle(place, &frame(flags::SYN), &mut LastOf), (chosen, vec![Note::Opened]));
    assert_eq!(model.handle(place, &frame(flags::ACK), &mut FirstOf).0, chosen);
    // Affinity: another connection of the client, at another frontend.
    let other = "10.244.1.9:40001";
    assert_eq!(asks(&mut model, other, NODE_PORT), Verdict::Request(tcp(other, AWAY)));
}

#[test]
fn flows_that_would_look_alike_are_told_apart() {
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    assert_eq!(asks(&mut model, POD, VIP), Verdict::Request(tcp(POD, AWAY)));
    let moved = Verdict::Request(tcp("10.244.1.9:1024", AWAY));
    assert_eq!(asks(&mut model, POD, BALANCER), moved);
    let direct = Verdict::Request(tcp("10.244.1.9:1025", AWAY));
    assert_eq!(asks(&mut model, POD, AWAY), direct);
}

#[test]
fn who_does_not_go_on_loses_its_masquerade_port_to_others() {
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    let place = Place { hook: Hook::Egress, device: 2 };
    for (client, notes) in [(1, vec![]), (2, vec![]), (3, vec![Note::PushedOut])] {
        let client = at(&format!("198.51.100.7:{client}"));
        see(&mut model, Hook::Ingress, flags::SYN, client, at(NODE_PORT));
        let frame = Packet::tcp(client, at(AWAY)).flags(flags::SYN).ethernet().build();
        let (verdict, noted) = model.handle(place, &frame, &mut FirstOf);
        assert!(matches!(verdict, Verdict::Masqueraded(_)));
        assert_eq!(noted, notes);
    }
}

#[test]
fn masquerade_ports_run_out_and_come_back() {
    let mut model = Model::new(tables(&[AWAY], |_| {}));
    let sent = |model: &mut Model, client: &str| {
        asks(model, client, NODE_PORT);
        see(model, Hook::Egress, flags::SYN, at(client), at(AWAY))
    };
    for client in ["198.51.100.7:1", "198.51.100.7:2"] {
        assert!(matches!(sent(&mut model, client), Verdict::Masqueraded(_)));
        see(&mut model, Hook::Egress, flags::SYN | flags::ACK, at(AWAY), at(client));
        see(&mut model, Hook::Ingress, flags::ACK, at(client), at(NODE_PORT));
    }
    let full = Verdict::Dropped(Dropped::NoMasqueradePort);
    assert_eq!(sent(&mut model, "198.51.100.7:3"), full);
    see(&mut model, Hook::Ingress, flags::RST, at("198.51.100.7:1"), at(NODE_PORT));
    let again = see(&mut model, Hook::Egress, flags::SYN, at("198.51.100.7:3"), at(AWAY));
    assert_eq!(again, Verdict::Untouched, "its flow is over");
    assert!(matches!(
        {
            asks(&mut model, "198.51.100.7:3", NODE_PORT);
            see(&mut model, Hook::Egress, flags::SYN, at("198.51.100.7:3"), at(AWAY))
        },
        Verdict::Masqueraded(_)
    ));
}
