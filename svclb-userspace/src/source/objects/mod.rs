//! The Kubernetes objects as they are written: exactly the fields that svclb reads.
//!
//! Values are checked while they are read, so that an error carries the path of its field.

mod node;
mod pod;
mod service;
mod service_cidr;
mod slice;
mod values;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) use node::Node;
pub(super) use pod::{Pod, PodCondition};
pub(super) use service::{
    Affinity, IpFamilyPolicy, IpMode, Service, ServicePort, ServiceSpec, ServiceType,
};
pub(super) use service_cidr::ServiceCidr;
pub(super) use slice::{Endpoint, EndpointSlice, Hint};
use values::or_default;
pub(super) use values::{AddressType, ClusterIp, TargetPort, parse_ip};

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
