//! Services.

use std::{net::IpAddr, time::Duration};

use crate::{
    snapshot::{Port, Service, TrafficPolicy},
    source::objects::{self, Affinity, ClusterIp, IpMode, ServiceSpec, ServiceType},
};

/// The Service as svclb serves it; `None` if it has no address of its own.
pub(in crate::source) fn service(object: &objects::Service) -> Option<Service> {
    let spec = &object.spec;
    if spec.kind == ServiceType::ExternalName {
        return None;
    }
    let cluster_ips: Vec<_> = cluster_ips(spec).collect();
    if cluster_ips.is_empty() {
        return None;
    }
    Some(Service {
        cluster_ips,
        external_ips: spec.external_ips.iter().map(|ip| ip.0).collect(),
        load_balancer_ips: load_balancer_ips(object).collect(),
        source_ranges: spec.load_balancer_source_ranges.iter().map(|range| range.0).collect(),
        ports: ports(spec).collect(),
        internal_policy: spec.internal_traffic_policy.into(),
        external_policy: spec.external_traffic_policy.into(),
        affinity: affinity(spec),
        health_check_node_port: health_check_node_port(spec),
    })
}

fn ports(spec: &ServiceSpec) -> impl Iterator<Item = Port> {
    spec.ports.iter().map(|port| Port {
        name: port.name.as_str().into(),
        protocol: port.protocol.protocol(),
        port: port.port.get(),
        node_port: port.node_port,
    })
}

/// The addresses at which load balancers hand packets on as they are. One that is a proxy asks the
/// NodePort, and wants to be asked itself.
fn load_balancer_ips(object: &objects::Service) -> impl Iterator<Item = IpAddr> {
    let ingress = object.status.load_balancer.ingress.iter();
    ingress.filter(|ingress| ingress.ip_mode == IpMode::Vip).filter_map(|ingress| ingress.ip)
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    match spec.session_affinity {
        Affinity::None => None,
        Affinity::ClientIP => Some(spec.session_affinity_config.client_ip.timeout_seconds.get()),
    }
}

fn health_check_node_port(spec: &ServiceSpec) -> u16 {
    if has_health_check(spec) { spec.health_check_node_port } else { 0 }
}

/// Whether load balancers ask for the Service's health: those that must find the nodes with
/// endpoints.
pub(in crate::source) fn has_health_check(spec: &ServiceSpec) -> bool {
    spec.kind == ServiceType::LoadBalancer
        && TrafficPolicy::from(spec.external_traffic_policy) == TrafficPolicy::Local
}

/// The addresses that the object itself gives the Service.
pub(in crate::source) fn cluster_ips(spec: &ServiceSpec) -> impl Iterator<Item = IpAddr> {
    let all = if spec.cluster_ips.is_empty() {
        std::slice::from_ref(&spec.cluster_ip)
    } else {
        &spec.cluster_ips
    };
    all.iter().filter_map(|ip| match ip {
        ClusterIp::Address(ip) => Some(*ip),
        ClusterIp::Unset | ClusterIp::Headless => None,
    })
}

/// Whether the Service has decided against addresses of its own.
pub(in crate::source) fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip == ClusterIp::Headless || spec.cluster_ips.contains(&ClusterIp::Headless)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn read(object: Value) -> Service {
        service(&from_value(object).expect("a Service")).expect("one with addresses")
    }

    fn with_spec(more: Value) -> Service {
        let mut spec = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]});
        let more = more.as_object().expect("fields").clone();
        spec.as_object_mut().expect("fields").extend(more);
        read(json!({"spec": spec}))
    }

    #[test]
    fn what_a_service_leaves_out_is_the_cluster_for_everybody_and_no_affinity() {
        let plain = with_spec(json!({}));
        let expected = Service {
            cluster_ips: vec!["10.96.0.1".parse().expect("an address")],
            ports: plain.ports.clone(),
            ..Service::default()
        };
        assert_eq!(plain, expected);
        let nulls = json!({
            "externalIPs": null, "loadBalancerSourceRanges": null, "externalTrafficPolicy": null,
            "internalTrafficPolicy": null, "sessionAffinity": null, "sessionAffinityConfig": null,
            "healthCheckNodePort": null,
        });
        assert_eq!(with_spec(nulls), expected);
    }

    #[test]
    fn affinity_has_a_time_out_only_where_it_is_asked_for() {
        let affinity = |spec| with_spec(spec).affinity.map(|timeout| timeout.as_secs());
        let config = json!({"clientIP": {"timeoutSeconds": 60}});
        let table = [
            (json!({"sessionAffinity": "ClientIP"}), Some(10_800)),
            (json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}), Some(60)),
            (json!({"sessionAffinity": "None", "sessionAffinityConfig": config}), None),
            (json!({"sessionAffinityConfig": config}), None),
        ];
        for (spec, expected) in table {
            assert_eq!(affinity(spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn source_ranges_are_trimmed_and_without_the_bits_of_a_host() {
        let ranges = json!([" 192.0.2.7/24 ", "2001:db8::1/32"]);
        let service = with_spec(json!({"loadBalancerSourceRanges": ranges}));
        let ranges: Vec<_> = service.source_ranges.iter().map(ToString::to_string).collect();
        assert_eq!(ranges, ["192.0.2.0/24", "2001:db8::/32"]);
    }

    #[test]
    fn only_addresses_of_load_balancers_that_are_no_proxies_are_served() {
        let ingress = json!([
            {"ip": "192.0.2.1"},
            {"ip": "192.0.2.2", "ipMode": "VIP"},
            {"ip": "192.0.2.3", "ipMode": "Proxy"},
            {"hostname": "lb.example.com"},
            {"ip": "", "hostname": "lb.example.com"},
            {"ip": "2001:db8::1", "ipMode": null},
        ]);
        let service = read(json!({
            "spec": {"clusterIP": "10.96.0.1", "type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": ingress}},
        }));
        let ips: Vec<_> = service.load_balancer_ips.iter().map(ToString::to_string).collect();
        assert_eq!(ips, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    }

    #[test]
    fn health_is_asked_for_only_by_load_balancers_of_local_endpoints() {
        let port = |kind: &str, policy: &str| {
            let spec = json!({
                "type": kind, "externalTrafficPolicy": policy, "healthCheckNodePort": 32000,
            });
            with_spec(spec).health_check_node_port
        };
        assert_eq!(port("LoadBalancer", "Local"), 32_000);
        assert_eq!(port("LoadBalancer", "Cluster"), 0);
        assert_eq!(port("NodePort", "Local"), 0);
    }

    #[test]
    fn policies_are_read() {
        let policies =
            json!({"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Cluster"});
        let service = with_spec(policies);
        assert_eq!(service.external_policy, TrafficPolicy::Local);
        assert_eq!(service.internal_policy, TrafficPolicy::Cluster);
        let service = with_spec(json!({"internalTrafficPolicy": "Local"}));
        assert_eq!(service.external_policy, TrafficPolicy::Cluster);
        assert_eq!(service.internal_policy, TrafficPolicy::Local);
    }
}
