//! Ranges that ClusterIPs are given out from.

use serde::Deserialize;

use super::values::Cidr;

/// `networking.k8s.io/v1` ServiceCIDR. Its conditions decide nothing here: one that is being deleted
/// stays as long as a Service has an address of it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct ServiceCidr {
    pub(in crate::source) spec: ServiceCidrSpec,
}

/// `spec` of a ServiceCIDR.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(in crate::source) struct ServiceCidrSpec {
    pub(in crate::source) cidrs: Vec<Cidr>,
}
