//! Pods.

use std::net::IpAddr;

use serde::Deserialize;

use super::{
    Metadata,
    values::{PortNumber, Transport, empty_or_ip, or_default},
};

/// `v1` Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Pod {
    pub(in crate::source) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) spec: PodSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct PodSpec {
    #[serde(default)]
    pub(in crate::source) node_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) containers: Vec<Container>,
}

/// `spec.containers[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Container {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ports: Vec<ContainerPort>,
}

/// `spec.containers[].ports[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct ContainerPort {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) name: String,
    pub(in crate::source) container_port: PortNumber,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) protocol: Transport,
}

/// `status` of a Pod.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct PodStatus {
    #[serde(default)]
    pub(in crate::source) phase: Option<String>,
    #[serde(default, rename = "podIP", deserialize_with = "empty_or_ip")]
    pub(in crate::source) pod_ip: Option<IpAddr>,
    #[serde(default, rename = "podIPs", deserialize_with = "or_default")]
    pub(in crate::source) pod_ips: Vec<PodIp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) conditions: Vec<PodCondition>,
}

/// `status.podIPs[]` of a Pod.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct PodIp {
    pub(in crate::source) ip: IpAddr,
}

/// `status.conditions[]` of a Pod.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct PodCondition {
    #[serde(rename = "type")]
    pub(in crate::source) kind: String,
    pub(in crate::source) status: String,
}
