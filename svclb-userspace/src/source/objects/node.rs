//! Nodes.

use serde::Deserialize;

use super::{
    Metadata,
    values::{Cidr, or_default},
};

/// `v1` Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Node {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) spec: NodeSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(in crate::source) struct NodeSpec {
    #[serde(default, rename = "podCIDRs", deserialize_with = "or_default")]
    pub(in crate::source) pod_cidrs: Vec<Cidr>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) taints: Vec<Taint>,
}

/// `spec.taints[]` of a Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Taint {
    pub(in crate::source) key: String,
}

/// `status` of a Node.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(in crate::source) struct NodeStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) addresses: Vec<NodeAddress>,
}

/// `status.addresses[]` of a Node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct NodeAddress {
    #[serde(rename = "type")]
    pub(in crate::source) kind: String,
    pub(in crate::source) address: String,
}
