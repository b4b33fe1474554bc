use super::*;
use crate::plan::operation::Protocol;

fn service(policies: [TrafficPolicy; 2], node_port: u16) -> Service {
    let ips = |texts: &[&str]| texts.iter().map(|ip| ip.parse().unwrap()).collect();
    let protocol = Protocol::Tcp;
    Service {
        cluster_ips: ips(&["10.96.0.1", "fd00::1"]),
        external_ips: ips(&["198.51.100.1", "2001:db8::1"]),
        load_balancer_ips: ips(&["203.0.113.1"]),
        ports: vec![Port { name: "http".into(), protocol, port: 80, node_port }],
        internal_policy: policies[0],
        external_policy: policies[1],
        ..Service::default()
    }
}

/// Frontends with a port, as `address: kind policy`. Each address has one without, too.
fn found(service: &Service, family: Family) -> Vec<String> {
    let show = |f: &DesiredFrontend| {
        assert_eq!(f.flags() & frontend_flags::EXTERNAL != 0, f.kind.is_external());
        format!("{}: {} {}", f.address, f.kind.name(), f.policy.name())
    };
    let (vips, ports): (Vec<_>, Vec<_>) =
        of(service, &service.ports[0], family).into_iter().partition(|f| f.address.is_vip());
    let described = |f: &DesiredFrontend| f.address.ip().map(|ip| (ip, f.kind));
    assert_eq!(
        vips.iter().filter_map(described).collect::<Vec<_>>(),
        ports.iter().filter_map(described).collect::<Vec<_>>()
    );
    assert!(vips.iter().all(|vip| vip.policy == TrafficPolicy::Cluster));
    ports.iter().map(show).collect()
}

#[test]
fn the_internal_policy_is_for_cluster_ips_and_the_external_one_for_all_others() {
    use TrafficPolicy::{Cluster, Local};
    let table = [
        ([Cluster, Cluster], "Cluster", "Cluster"),
        ([Local, Cluster], "Local", "Cluster"),
        ([Cluster, Local], "Cluster", "Local"),
        ([Local, Local], "Local", "Local"),
    ];
    for (policies, internal, external) in table {
        let service = service(policies, 30_080);
        let expected = [
            format!("10.96.0.1:80/TCP: ClusterIP {internal}"),
            format!("NodePort 30080/TCP IPv4: NodePort {external}"),
            format!("203.0.113.1:80/TCP: load-balancer IP {external}"),
            format!("198.51.100.1:80/TCP: external IP {external}"),
        ];
        assert_eq!(found(&service, Family::V4), expected);
        let expected = [
            format!("[fd00::1]:80/TCP: ClusterIP {internal}"),
            format!("NodePort 30080/TCP IPv6: NodePort {external}"),
            format!("[2001:db8::1]:80/TCP: external IP {external}"),
        ];
        assert_eq!(found(&service, Family::V6), expected);
    }
}

#[test]
fn a_port_without_a_node_port_has_none() {
    let service = service([TrafficPolicy::Cluster; 2], 0);
    let expected =
        ["[fd00::1]:80/TCP: ClusterIP Cluster", "[2001:db8::1]:80/TCP: external IP Cluster"];
    assert_eq!(found(&service, Family::V6), expected);
}

#[test]
fn an_address_of_several_kinds_is_one_frontend_of_the_first_kind() {
    let mut service = service([TrafficPolicy::Cluster; 2], 0);
    let balancer = service.load_balancer_ips[0];
    service.external_ips = vec![balancer, service.cluster_ips[0], balancer];
    let expected =
        ["10.96.0.1:80/TCP: ClusterIP Cluster", "203.0.113.1:80/TCP: load-balancer IP Cluster"];
    assert_eq!(found(&service, Family::V4), expected);
}

#[test]
fn addresses_without_a_cluster_ip_of_their_family_are_named() {
    let mut service = service([TrafficPolicy::Cluster; 2], 0);
    assert_eq!(without_family(&service).count(), 0);
    service.cluster_ips.truncate(1);
    let lost: Vec<_> = without_family(&service).collect();
    assert_eq!(lost, [("spec.externalIPs", service.external_ips[1])]);
    service.cluster_ips = vec!["fd00::1".parse().unwrap()];
    let lost: Vec<_> = without_family(&service).map(|(field, _)| field).collect();
    assert_eq!(lost, ["spec.externalIPs", "status.loadBalancer.ingress"]);
}
