//! One test for each row of the verdicts, each with a table of cases.

use super::*;
use crate::{
    desired::{FrontendKind, desired},
    plan::operation::Family,
    snapshot::{Endpoint, EndpointPort, EndpointSlice, Hints, ObjectKey, Port, Service},
};

const NODE: &str = "192.0.2.10";
const OUTSIDE: &str = "198.51.100.7";
const KINDS: [FrontendKind; 4] = FrontendKind::ALL;
const EXTERNAL: [FrontendKind; 3] =
    [FrontendKind::NodePort, FrontendKind::LoadBalancer, FrontendKind::ExternalIp];
const PLACES: [Place; 3] = [Place::Pod, Place::Host, Place::Outside];
const CLUSTER: Verdict = Verdict::Serve(TrafficPolicy::Cluster);
const LOCAL: Verdict = Verdict::Serve(TrafficPolicy::Local);

/// Where the only endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Here,
    There,
    Nowhere,
}

fn node() -> NodeContext {
    NodeContext {
        name: "here".into(),
        zone: None,
        addresses: [ip(NODE)].into(),
        ..NodeContext::default()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A Service with a frontend of each kind.
fn service(internal: TrafficPolicy, external: TrafficPolicy) -> Service {
    let name = "http".into();
    Service {
        cluster_ips: vec![ip("10.96.0.1")],
        external_ips: vec![ip("198.51.100.1")],
        load_balancer_ips: vec![ip("203.0.113.1")],
        ports: vec![Port { name, protocol: Protocol::Tcp, port: 80, node_port: 30_080 }],
        internal_policy: internal,
        external_policy: external,
        ..Service::default()
    }
}

fn slice(at: At) -> Option<EndpointSlice> {
    let node = match at {
        At::Here => "here",
        At::There => "there",
        At::Nowhere => return None,
    };
    let endpoint = Endpoint {
        address: ip("10.244.0.1"),
        ready: true,
        serving: true,
        terminating: false,
        node: Some(node.into()),
        hints: Hints::default(),
    };
    Some(EndpointSlice {
        service: "web".into(),
        family: Family::V4,
        ports: vec![EndpointPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: vec![endpoint],
        triggered: None,
    })
}

/// The verdict about a client of this kind of frontend, at `place` with the source address `from`.
fn asked(service: &Service, at: At, kind: FrontendKind, place: Place, from: &str) -> Verdict {
    let slice = slice(at);
    let ports = desired(&ObjectKey::new("ns", "web"), service, slice.iter(), &node());
    let [port] = ports.try_into().unwrap();
    let frontend = *port.frontends.iter().find(|frontend| frontend.kind == kind).unwrap();
    let client = Client { address: ip(from), place };
    verdict(&Asked::Frontend(Box::new(port), frontend), client, &node())
}

#[test]
fn no_endpoint_anywhere_is_refused_whoever_asks_and_whatever_the_policy() {
    let both = [TrafficPolicy::Cluster, TrafficPolicy::Local];
    for (internal, external) in both.into_iter().flat_map(|i| both.map(|e| (i, e))) {
        let service = service(internal, external);
        for (kind, place) in KINDS.into_iter().flat_map(|kind| PLACES.map(|place| (kind, place))) {
            let found = asked(&service, At::Nowhere, kind, place, OUTSIDE);
            assert_eq!(found, Verdict::NoEndpoint, "{kind:?} {place:?}");
        }
    }
}

#[test]
fn tcp_is_refused_with_a_reset_and_everything_else_as_port_unreachable() {
    for refused in [Verdict::NoEndpoint, Verdict::NoPort] {
        assert_eq!(refused.action(Some(Protocol::Tcp)), Action::Reset);
        assert_eq!(refused.action(Some(Protocol::Udp)), Action::Unreachable);
        assert_eq!(refused.action(Some(Protocol::Sctp)), Action::Unreachable);
        assert_eq!(refused.action(None), Action::Unreachable);
    }
}

#[test]
fn internal_policy_local_without_local_endpoints_drops_at_the_cluster_ip_only() {
    let service = service(TrafficPolicy::Local, TrafficPolicy::Cluster);
    for place in PLACES {
        let ask = |at, kind| asked(&service, at, kind, place, OUTSIDE);
        let found = ask(At::There, FrontendKind::ClusterIp);
        assert_eq!(found, Verdict::NoLocalEndpoint, "{place:?}");
        assert_eq!(found.action(Some(Protocol::Tcp)), Action::Drop);
        assert_eq!(ask(At::Here, FrontendKind::ClusterIp), LOCAL, "{place:?}");
        for kind in EXTERNAL {
            assert_eq!(ask(At::There, kind), CLUSTER, "{kind:?} {place:?}");
        }
    }
}

#[test]
fn external_policy_local_without_local_endpoints_drops_clients_from_outside() {
    let service = service(TrafficPolicy::Cluster, TrafficPolicy::Local);
    let ask = |at, kind| asked(&service, at, kind, Place::Outside, OUTSIDE);
    for kind in EXTERNAL {
        let found = ask(At::There, kind);
        assert_eq!(found, Verdict::NoLocalEndpoint, "{kind:?}");
        assert_eq!(found.action(Some(Protocol::Udp)), Action::Drop);
        assert_eq!(ask(At::Here, kind), LOCAL, "{kind:?}");
    }
    assert_eq!(ask(At::There, FrontendKind::ClusterIp), CLUSTER);
}

#[test]
fn external_policy_local_serves_pods_and_this_host_from_the_cluster_set() {
    let service = service(TrafficPolicy::Cluster, TrafficPolicy::Local);
    for (kind, at) in EXTERNAL.into_iter().flat_map(|kind| [(kind, At::Here), (kind, At::There)]) {
        for (place, from) in [(Place::Pod, "10.244.0.7"), (Place::Host, NODE)] {
            assert_eq!(asked(&service, at, kind, place, from), CLUSTER, "{kind:?} {place:?}");
        }
    }
}

#[test]
fn clients_outside_the_source_ranges_are_dropped_at_load_balancer_ips_only() {
    let ranges = ["192.0.2.0/24", "2001:db8::/32"].map(|range| range.parse().unwrap());
    let service = Service {
        source_ranges: ranges.to_vec(),
        ..service(TrafficPolicy::Cluster, TrafficPolicy::Cluster)
    };
    let balancer = FrontendKind::LoadBalancer;
    let table = [
        ("a listed client", Place::Outside, "192.0.2.99", CLUSTER),
        ("another one", Place::Outside, OUTSIDE, Verdict::SourceRange),
        ("a client inside the cluster", Place::Pod, "10.244.0.7", Verdict::SourceRange),
        ("this node, which is listed", Place::Host, NODE, CLUSTER),
        ("this node by the address itself", Place::Host, "203.0.113.1", CLUSTER),
    ];
    for (case, place, from, expected) in table {
        assert_eq!(asked(&service, At::There, balancer, place, from), expected, "{case}");
        for kind in KINDS.into_iter().filter(|kind| *kind != balancer) {
            assert_eq!(asked(&service, At::There, kind, place, from), CLUSTER, "{case} {kind:?}");
        }
    }
    let found = asked(&service, At::Nowhere, balancer, Place::Outside, OUTSIDE);
    assert_eq!(found, Verdict::SourceRange, "before anything is said about endpoints");
    assert_eq!(found.action(Some(Protocol::Tcp)), Action::Drop);
}

#[test]
fn source_ranges_of_one_family_say_nothing_about_the_other() {
    let service = Service {
        source_ranges: vec!["2001:db8::/32".parse().unwrap()],
        ..service(TrafficPolicy::Cluster, TrafficPolicy::Cluster)
    };
    let kind = FrontendKind::LoadBalancer;
    assert_eq!(asked(&service, At::There, kind, Place::Outside, OUTSIDE), CLUSTER);
}

#[test]
fn what_is_no_frontend_has_a_verdict_of_its_own() {
    let (tcp, udp) = (Some(Protocol::Tcp), Some(Protocol::Udp));
    let table = [
        ("a port that a ClusterIP does not have", Asked::OtherPort, tcp, Action::Reset),
        ("the same with UDP", Asked::OtherPort, udp, Action::Unreachable),
        ("an unallocated address of a ServiceCIDR", Asked::Unallocated, tcp, Action::Drop),
        ("a ping to a VIP", Asked::Echo, None, Action::Reply),
        ("a load balancer's address at another port", Asked::Nothing, tcp, Action::Pass),
    ];
    for (case, asked, protocol, expected) in table {
        for place in PLACES {
            let client = Client { address: ip(OUTSIDE), place };
            assert_eq!(verdict(&asked, client, &node()).action(protocol), expected, "{case}");
        }
    }
}
