//! The objects of a scenario, as the harness writes them into the API.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::scenario::{Endpoint, Frontend, Scenario, Server, Service};
use crate::lab::{Dual, Family, Lab};

/// The port of every Service.
const PORT: u16 = 80;
/// A port that no Service has.
const OTHER_PORT: u16 = 81;
/// The port of every server.
pub(super) const TARGET: u16 = 8080;
/// A port where no server listens.
const CLOSED: u16 = 8081;
/// The first port of a health check.
const HEALTH_PORT: u16 = 30_500;
/// The first NodePort.
const NODE_PORT: u16 = 30_100;

/// Where a scenario's Service is found; its number is the scenario's place in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses(u8);

impl Addresses {
    /// Of the scenario with this number, from 1 on.
    pub(super) fn of(number: u8) -> Self {
        Self(number)
    }

    /// Where a frontend is, with its port; nothing for those at a node's own addresses.
    pub(super) fn at(self, frontend: Frontend) -> Option<(Dual, u16)> {
        match frontend {
            Frontend::ClusterIp => Some((self.cluster(), PORT)),
            Frontend::ClusterIpOtherPort => Some((self.cluster(), OTHER_PORT)),
            Frontend::Unallocated => Some((Self::service(2, self.0), PORT)),
            Frontend::ExternalIp => Some((self.external(), PORT)),
            Frontend::LoadBalancer => Some((self.load_balancer(), PORT)),
            Frontend::LoadBalancerOtherPort => Some((self.load_balancer(), OTHER_PORT)),
            Frontend::NodePort | Frontend::Localhost | Frontend::HealthCheck => None,
        }
    }

    fn cluster(self) -> Dual {
        Self::service(1, self.0)
    }

    fn external(self) -> Dual {
        Self::documentation(Ipv4Addr::new(203, 0, 113, self.0), 1, self.0)
    }

    fn load_balancer(self) -> Dual {
        Self::documentation(Ipv4Addr::new(198, 18, 0, self.0), 2, self.0)
    }

    pub(super) fn node_port(self) -> u16 {
        NODE_PORT + u16::from(self.0)
    }

    pub(super) fn health_port(self) -> u16 {
        HEALTH_PORT + u16::from(self.0)
    }

    fn service(group: u8, number: u8) -> Dual {
        let last = u16::from_be_bytes([group, number]);
        Dual {
            v4: Ipv4Addr::new(10, 96, group, number),
            v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, last),
        }
    }

    fn documentation(v4: Ipv4Addr, group: u16, number: u8) -> Dual {
        Dual { v4, v6: Ipv6Addr::new(0x2001, 0xdb8, 0xcb, group, 0, 0, 0, u16::from(number)) }
    }
}

/// The name of a scenario's Service.
fn name(number: u8) -> String {
    format!("scenario-{number}")
}

/// The Service, with the status that a cloud's controller would write.
pub(super) fn service(scenario: &Scenario, number: u8) -> Value {
    let (service, at) = (&scenario.service, Addresses::of(number));
    let policy = |local| if local { "Local" } else { "Cluster" };
    let ingress = both(at.load_balancer()).map(|ip| match service.ip_mode {
        Some(mode) => json!({ "ip": ip, "ipMode": mode }),
        None => json!({ "ip": ip }),
    });
    let ports = ["TCP", "UDP"].map(|protocol| port(protocol, target(service), at));
    let mut written = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name(number), "labels": labels(service.label) },
        "spec": {
            "type": "LoadBalancer",
            "ipFamilyPolicy": "RequireDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
            "clusterIP": at.cluster().v4,
            "clusterIPs": both(at.cluster()),
            "externalIPs": both(at.external()),
            "externalTrafficPolicy": policy(service.external_local),
            "internalTrafficPolicy": policy(service.internal_local),
            "sessionAffinity": if service.affinity { "ClientIP" } else { "None" },
            "loadBalancerSourceRanges": service.source_ranges,
            "ports": ports,
        },
        "status": { "loadBalancer": { "ingress": ingress } },
    });
    if service.external_local {
        written["spec"]["healthCheckNodePort"] = json!(at.health_port());
    }
    written
}

fn target(service: &Service) -> u16 {
    if service.closed { CLOSED } else { TARGET }
}

fn port(protocol: &str, target: u16, at: Addresses) -> Value {
    let name = protocol.to_lowercase();
    json!({
        "name": name, "protocol": protocol, "port": PORT, "targetPort": target,
        "nodePort": at.node_port(),
    })
}

/// The slices of a scenario with some endpoints: for each family one for each set of protocols that
/// they serve.
pub(super) fn slices(
    scenario: &Scenario,
    endpoints: &[Endpoint],
    number: u8,
    lab: &Lab,
) -> Vec<Value> {
    let groups: [Option<&str>; 3] = [None, Some("TCP"), Some("UDP")];
    let mut slices = Vec::new();
    for family in Family::BOTH {
        for only in groups {
            let endpoints = endpoints.iter().filter(|endpoint| endpoint.only == only);
            let endpoints: Vec<Value> =
                endpoints.map(|endpoint| written(endpoint, family, lab)).collect();
            // Without endpoints, one is left.
            if !endpoints.is_empty() || only.is_none() {
                slices.push(slice(scenario, number, family, only, &endpoints));
            }
        }
    }
    slices
}

fn slice(
    scenario: &Scenario,
    number: u8,
    family: Family,
    only: Option<&str>,
    endpoints: &[Value],
) -> Value {
    let service = name(number);
    let suffix = format!("{}-{}", family.name(), only.unwrap_or("all")).to_lowercase();
    let mut labels = labels(scenario.service.slice_label);
    labels["kubernetes.io/service-name"] = json!(service);
    labels["endpointslice.kubernetes.io/managed-by"] = json!("svclb-tests");
    let protocols = ["TCP", "UDP"].into_iter().filter(|one| only.is_none_or(|only| only == *one));
    let target = target(&scenario.service);
    let ports: Vec<Value> = protocols
        .map(|protocol| {
            json!({ "name": protocol.to_lowercase(), "protocol": protocol, "port": target })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": format!("{service}-{suffix}"), "labels": labels },
        "addressType": family.name(),
        "ports": ports,
        "endpoints": endpoints,
    })
}

fn written(endpoint: &Endpoint, family: Family, lab: &Lab) -> Value {
    let (_, node) = endpoint.pod.place();
    let addresses: Vec<_> = [Some(endpoint.pod), endpoint.second]
        .into_iter()
        .flatten()
        .filter_map(|server| {
            let (name, node) = server.place();
            let pods = &lab.node(node).pods;
            pods.iter().find(|pod| pod.name == name).map(|pod| pod.ip.ip(family))
        })
        .collect();
    let [ready, serving, terminating] = endpoint.conditions;
    let mut hints = json!({});
    if let Some(zone) = endpoint.zone_hint {
        hints["forZones"] = json!([{ "name": zone }]);
    }
    if let Some(node) = endpoint.node_hint {
        hints["forNodes"] = json!([{ "name": node }]);
    }
    json!({
        "addresses": addresses,
        "nodeName": lab.node(node).name,
        "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
        "hints": if hints == json!({}) { Value::Null } else { hints },
    })
}

fn labels(label: Option<(&str, &str)>) -> Value {
    label.map_or_else(|| json!({}), |(key, value)| json!({ key: value }))
}

fn both(dual: Dual) -> [String; 2] {
    Family::BOTH.map(|family| dual.ip(family).to_string())
}

/// A Node with the zone that it is in, `zone-<number>`.
pub(super) fn zone(number: u8) -> Value {
    json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": format!("zone-{number}") } } })
}

/// The names of the servers, and the numbers of their nodes.
pub(super) fn servers() -> [(&'static str, u8); 2] {
    Server::ALL.map(Server::place)
}
