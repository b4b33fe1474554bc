//! Services.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;

use super::values::{
    Address, AffinityTimeout, Cidr, ClusterIp, IpFamily, Policy, PortNumber, TargetPort, Transport,
    empty_or_ip, or_default,
};

/// `v1` Service.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Service {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) spec: ServiceSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct ServiceSpec {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(in crate::source) kind: ServiceType,
    #[serde(default, rename = "clusterIP", deserialize_with = "or_default")]
    pub(in crate::source) cluster_ip: ClusterIp,
    #[serde(default, rename = "clusterIPs", deserialize_with = "or_default")]
    pub(in crate::source) cluster_ips: Vec<ClusterIp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ip_families: Vec<IpFamily>,
    #[serde(default)]
    pub(in crate::source) ip_family_policy: Option<IpFamilyPolicy>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ports: Vec<ServicePort>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) publish_not_ready_addresses: bool,
    #[serde(default)]
    pub(in crate::source) allocate_load_balancer_node_ports: Option<bool>,
    #[serde(default, rename = "externalIPs", deserialize_with = "or_default")]
    pub(in crate::source) external_ips: Vec<Address>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) load_balancer_source_ranges: Vec<Cidr>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) external_traffic_policy: Policy,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) internal_traffic_policy: Policy,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) health_check_node_port: u16,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) session_affinity: Affinity,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) session_affinity_config: AffinityConfig,
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(in crate::source) enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// `spec.ipFamilyPolicy` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(in crate::source) enum IpFamilyPolicy {
    #[serde(rename = "SingleStack")]
    Single,
    #[serde(rename = "PreferDualStack")]
    PreferDual,
    #[serde(rename = "RequireDualStack")]
    RequireDual,
}

/// `spec.ports[]` of a Service.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct ServicePort {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) protocol: Transport,
    pub(in crate::source) port: PortNumber,
    #[serde(default)]
    pub(in crate::source) target_port: Option<TargetPort>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) node_port: u16,
}

/// `spec.sessionAffinity` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(in crate::source) enum Affinity {
    #[default]
    None,
    ClientIP,
}

/// `spec.sessionAffinityConfig` of a Service.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
pub(in crate::source) struct AffinityConfig {
    #[serde(default, rename = "clientIP", deserialize_with = "or_default")]
    pub(in crate::source) client_ip: ClientIpConfig,
}

/// `spec.sessionAffinityConfig.clientIP` of a Service.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct ClientIpConfig {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) timeout_seconds: AffinityTimeout,
}

/// `status` of a Service.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct ServiceStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer` of a Service.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(in crate::source) struct LoadBalancerStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ingress: Vec<Ingress>,
}

/// `status.loadBalancer.ingress[]` of a Service.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct Ingress {
    /// None where the load balancer is known by a host name.
    #[serde(default, deserialize_with = "empty_or_ip")]
    pub(in crate::source) ip: Option<IpAddr>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ip_mode: IpMode,
}

/// `status.loadBalancer.ingress[].ipMode` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(in crate::source) enum IpMode {
    #[default]
    #[serde(rename = "VIP")]
    Vip,
    Proxy,
}
