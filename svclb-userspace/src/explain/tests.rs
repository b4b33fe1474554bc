use std::collections::BTreeSet;

use super::*;
use crate::{
    desired::{Detection, NodePortAddresses, inside},
    source::manifests::{Cluster, FileChange, InUse, Ranges},
};

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.10
  externalTrafficPolicy: Local
  loadBalancerSourceRanges: [198.51.100.0/24]
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: NodePort, clusterIP: 10.96.0.11, ports: [{name: http, port: 80, nodePort: 30081}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.1.1], nodeName: here}
- {addresses: [10.244.2.1], nodeName: there}
- {addresses: [10.244.2.2], nodeName: there, conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: far-1, labels: {kubernetes.io/service-name: far}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.2.1], nodeName: there}
"#;

const NODE: &str = "192.0.2.10";
const POD: &str = "10.244.1.1";
const OUTSIDE: &str = "198.51.100.7";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn snapshot() -> Snapshot {
    let mut cluster = Cluster::new(Ranges::default(), InUse::default());
    let files = [("all.yaml".to_owned(), FileChange::Contents(OBJECTS.into()))];
    let batch = cluster.update(files);
    assert_eq!(batch.problems, []);
    let (mut snapshot, mut touched) = (Snapshot::default(), BTreeSet::new());
    batch.changes.into_iter().for_each(|change| snapshot.apply(change, &mut touched));
    snapshot
}

/// Asks on a node whose pods are 10.244.1.0/24.
fn ask(client: &str, destination: &str, change: impl FnOnce(&mut Facts<'_>)) -> Explanation {
    let snapshot = snapshot();
    let node = NodeContext {
        name: "here".into(),
        zone: None,
        addresses: [ip(NODE)].into(),
        ..NodeContext::default()
    };
    let pods = BTreeSet::from(["10.244.1.0/24".parse().expect("a range")]);
    let (inside, detected) = inside::by_address(pods);
    let mut facts = Facts {
        snapshot: &snapshot,
        node: &node,
        addresses: NodePortAddresses::default().table(&[ip(NODE)].into(), None),
        inside,
        detected,
        pod_interfaces: None,
        masquerade_all: false,
        service_cidrs: BTreeSet::from(["10.96.0.0/16".parse().expect("a range")]),
    };
    change(&mut facts);
    let question = Question {
        client: ip(client),
        device: Some("eth0".to_owned()),
        destination: destination.parse().expect("an address and a port"),
        protocol: Protocol::Tcp,
    };
    explain(&facts, &question)
}

/// Whom the endpoints that serve see.
fn seen(client: &str, destination: &str, change: impl FnOnce(&mut Facts<'_>)) -> Vec<String> {
    let endpoints = ask(client, destination, change).endpoints.into_iter();
    let serving = endpoints.filter_map(|e| Some(format!("{} {:?}", e.address.ip(), e.sees?)));
    serving.collect()
}

#[test]
fn a_pods_address_is_kept_to_a_cluster_ip_but_for_a_hairpin() {
    let seen = seen(POD, "10.96.0.10:80", |_| ());
    assert_eq!(seen, ["10.244.1.1 Node", "10.244.2.1 Client"]);
}

#[test]
fn a_client_from_outside_is_masqueraded_towards_a_cluster_ip_where_that_is_known() {
    let asked = "10.96.0.10:80";
    assert_eq!(seen(OUTSIDE, asked, |_| ()), ["10.244.1.1 Node", "10.244.2.1 Node"]);
    let unknown = seen(OUTSIDE, asked, |facts| facts.detected.clear());
    assert_eq!(unknown, ["10.244.1.1 Client", "10.244.2.1 Client"]);
    let all = seen("10.244.1.9", asked, |facts| facts.masquerade_all = true);
    assert_eq!(all, ["10.244.1.1 Node", "10.244.2.1 Node"]);
    let device = seen(OUTSIDE, asked, |facts| {
        let ranges = Detection::Interface.ranges(None).expect("no node is needed");
        (facts.inside, facts.detected) = ranges;
        facts.pod_interfaces = Some("eth".to_owned());
    });
    assert_eq!(device, ["10.244.1.1 Client", "10.244.2.1 Client"]);
}

#[test]
fn an_external_client_is_masqueraded_where_the_policy_is_cluster_and_the_endpoint_remote() {
    assert_eq!(seen(OUTSIDE, "192.0.2.10:30081", |_| ()), ["10.244.2.1 Node"]);
    assert_eq!(seen(OUTSIDE, "192.0.2.10:30080", |_| ()), ["10.244.1.1 Client"], "Local");
    assert_eq!(seen(NODE, "192.0.2.10:30081", |_| ()), ["10.244.2.1 Client"], "its own");
}

#[test]
fn every_endpoint_has_its_reason_by_the_set_that_counts() {
    let reasons = |client| {
        let told = ask(client, "192.0.2.10:30080", |_| ());
        let set = told.frontend.expect("a NodePort").set;
        let reasons = told.endpoints.iter().map(|e| (e.serves, e.reason)).collect::<Vec<_>>();
        (set, reasons)
    };
    use Reason::{NotLocal, NotReady, Ready};
    let local = vec![(true, Ready), (false, NotLocal), (false, NotLocal)];
    assert_eq!(reasons(OUTSIDE), (TrafficPolicy::Local, local));
    let cluster = vec![(true, Ready), (true, Ready), (false, NotReady)];
    assert_eq!(reasons("10.244.1.9"), (TrafficPolicy::Cluster, cluster));
}

#[test]
fn verdicts_are_said_with_what_is_done() {
    let said = |client, asked| {
        let told = ask(client, asked, |_| ());
        (told.verdict.name(), told.action.name(), told.endpoints.iter().any(|e| e.serves))
    };
    for (client, asked, expected) in [
        (OUTSIDE, "203.0.113.1:80", ("local_endpoints", "serve", true)),
        ("192.0.2.99", "203.0.113.1:80", ("source_range", "drop", false)),
        (POD, "10.96.0.10:81", ("no_port", "reset", false)),
        (POD, "10.96.7.7:80", ("no_service", "drop", false)),
        (POD, "192.0.2.50:80", ("not_ours", "pass", false)),
    ] {
        assert_eq!(said(client, asked), expected, "{client} asks {asked}");
    }
}

#[test]
fn node_ports_are_where_the_node_has_them() {
    let found =
        |client, asked, change: fn(&mut Facts<'_>)| ask(client, asked, change).frontend.is_some();
    assert!(found(OUTSIDE, "192.0.2.10:30080", |_| ()));
    assert!(!found(OUTSIDE, "192.0.2.10:30080", |facts| facts.addresses.clear()));
    assert!(found(NODE, "127.9.8.7:30080", |_| ()), "its own loopback");
    assert!(!found(OUTSIDE, "127.0.0.1:30080", |_| ()), "another's loopback");
}

#[test]
fn an_explanation_is_written_in_names() {
    let told = serde_json::to_value(ask(OUTSIDE, "203.0.113.1:80", |_| ())).expect("JSON");
    assert_eq!(told["client"], serde_json::json!({"address": OUTSIDE, "is": "outside"}));
    assert_eq!(told["frontend"]["service"], "default/web http/TCP IPv4");
    assert_eq!(told["frontend"]["kind"], "load-balancer IP");
    assert_eq!(told["frontend"]["affinity"], 10_800);
    assert_eq!(told["endpoints"][1]["reason"], "not_local");
    assert_eq!(told["endpoints"][0]["sees"], "client");
}
