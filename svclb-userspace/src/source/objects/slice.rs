//! EndpointSlices.

use serde::Deserialize;

use super::{
    Metadata,
    values::{AddressType, PortNumber, Transport, or_default},
};

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct EndpointSlice {
    pub(in crate::source) metadata: Metadata,
    pub(in crate::source) address_type: AddressType,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) ports: Vec<EndpointPort>,
}

/// `endpoints[]` of an EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct Endpoint {
    /// Names instead of addresses in slices of the type FQDN.
    pub(in crate::source) addresses: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) conditions: Conditions,
    #[serde(default)]
    pub(in crate::source) node_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) hints: Hints,
}

/// `endpoints[].hints` of an EndpointSlice: whose clients the endpoint is meant for.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct Hints {
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) for_zones: Vec<Hint>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) for_nodes: Vec<Hint>,
}

/// The name of a zone or node.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct Hint {
    pub(in crate::source) name: String,
}

/// `endpoints[].conditions` of an EndpointSlice.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
pub(in crate::source) struct Conditions {
    pub(in crate::source) ready: Option<bool>,
    pub(in crate::source) serving: Option<bool>,
    pub(in crate::source) terminating: Option<bool>,
}

/// `ports[]` of an EndpointSlice.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct EndpointPort {
    pub(in crate::source) name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::source) protocol: Transport,
    pub(in crate::source) port: Option<PortNumber>,
}
