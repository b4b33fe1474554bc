//! The Kubernetes objects as they are written: exactly the fields that svclb reads.
//!
//! Values are checked while they are read, so that an error carries the path of its field.

mod values;

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;

pub(super) use values::{
    AddressType, ClusterIp, IpFamily, PortNumber, TargetPort, Transport, parse_ip,
};
use values::{empty_or_ip, or_default};

/// `metadata`, without the names: they identify the object and are read first.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<String>,
}

/// `v1` Service.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Service {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: ServiceSpec,
}

/// `spec` of a Service.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: ServiceType,
    #[serde(default, rename = "clusterIP", deserialize_with = "or_default")]
    pub(super) cluster_ip: ClusterIp,
    #[serde(default, rename = "clusterIPs", deserialize_with = "or_default")]
    pub(super) cluster_ips: Vec<ClusterIp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ip_families: Vec<IpFamily>,
    #[serde(default)]
    pub(super) ip_family_policy: Option<IpFamilyPolicy>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ports: Vec<ServicePort>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) publish_not_ready_addresses: bool,
    #[serde(default)]
    pub(super) allocate_load_balancer_node_ports: Option<bool>,
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(super) enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// `spec.ipFamilyPolicy` of a Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) enum IpFamilyPolicy {
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
pub(super) struct ServicePort {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) protocol: Transport,
    pub(super) port: PortNumber,
    #[serde(default)]
    pub(super) target_port: Option<TargetPort>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) node_port: u16,
}

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    pub(super) metadata: Metadata,
    pub(super) address_type: AddressType,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ports: Vec<EndpointPort>,
}

/// `endpoints[]` of an EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    /// Names instead of addresses in slices of the type FQDN.
    pub(super) addresses: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Conditions,
    #[serde(default)]
    pub(super) node_name: Option<String>,
}

/// `endpoints[].conditions` of an EndpointSlice.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

/// `ports[]` of an EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct EndpointPort {
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) protocol: Transport,
    pub(super) port: Option<PortNumber>,
}

/// `v1` Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: PodSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(default)]
    pub(super) node_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

/// `spec.containers[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Container {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ports: Vec<ContainerPort>,
}

/// `spec.containers[].ports[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerPort {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) container_port: PortNumber,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) protocol: Transport,
}

/// `status` of a Pod.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    #[serde(default)]
    pub(super) phase: Option<String>,
    #[serde(default, rename = "podIP", deserialize_with = "empty_or_ip")]
    pub(super) pod_ip: Option<IpAddr>,
    #[serde(default, rename = "podIPs", deserialize_with = "or_default")]
    pub(super) pod_ips: Vec<PodIp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Vec<PodCondition>,
}

/// `status.podIPs[]` of a Pod.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
pub(super) struct PodIp {
    pub(super) ip: IpAddr,
}

/// `status.conditions[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct PodCondition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
}

/// `v1` Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Node {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: NodeSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(super) struct NodeSpec {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) taints: Vec<Taint>,
}

/// `spec.taints[]` of a Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Taint {
    pub(super) key: String,
}

/// `status` of a Node.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(super) struct NodeStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) addresses: Vec<NodeAddress>,
}

/// `status.addresses[]` of a Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) address: String,
}
