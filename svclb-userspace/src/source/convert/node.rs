//! Nodes.

use super::FieldError;
use crate::{
    snapshot::Node,
    source::objects::{self, parse_ip},
};

/// The taint of a node that the cluster's autoscaler is about to delete.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The type of an address that is reached within the cluster.
const INTERNAL: &str = "InternalIP";

/// The label that says which zone a node is in.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The node as svclb uses it.
///
/// # Errors
/// The first field that is wrong.
pub(in crate::source) fn node(object: &objects::Node) -> Result<Node, FieldError> {
    let is_ip = |kind: &str| matches!(kind, INTERNAL | "ExternalIP");
    let addresses = object.status.addresses.iter().enumerate();
    let mut addresses: Vec<_> = addresses.filter(|(_, address)| is_ip(&address.kind)).collect();
    addresses.sort_by_key(|(_, address)| address.kind != INTERNAL);
    let addresses = addresses.into_iter().map(|(i, address)| {
        parse_ip(&address.address)
            .map_err(|e| FieldError::new(format!("status.addresses[{i}].address"), e))
    });
    let tainted = object.spec.taints.iter().any(|taint| taint.key == TO_BE_DELETED);
    Ok(Node {
        addresses: addresses.collect::<Result<_, _>>()?,
        zone: object.metadata.labels.get(ZONE).map(|zone| zone.as_str().into()),
        pod_cidrs: object.spec.pod_cidrs.iter().map(|cidr| cidr.0).collect(),
        leaving: tainted || object.metadata.deletion_timestamp.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn a_node_that_is_deleted_or_tainted_for_it_is_leaving() {
        let leaving =
            |object: Value| node(&from_value(object).expect("a node")).expect("valid").leaving;
        let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
        assert!(!leaving(json!({})));
        assert!(!leaving(taint("node.kubernetes.io/unschedulable")));
        assert!(leaving(taint(TO_BE_DELETED)));
        assert!(leaving(json!({"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}})));
    }

    #[test]
    fn internal_addresses_come_first() {
        let address = |kind: &str, ip: &str| json!({"type": kind, "address": ip});
        let object = json!({"status": {"addresses": [
            address("Hostname", "node-1"),
            address("ExternalIP", "203.0.113.1"),
            address("InternalIP", "192.0.2.1"),
            address("InternalIP", "2001:db8::1"),
        ]}});
        let node = node(&from_value(object).expect("a node")).expect("valid");
        let addresses: Vec<_> = node.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1", "203.0.113.1"]);
    }

    #[test]
    fn a_node_says_its_zone_and_its_pods_ranges() {
        let object = json!({
            "metadata": {"labels": {ZONE: "zone-1", "kubernetes.io/hostname": "node-1"}},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.7/24", "fd00:1::/64"]},
        });
        let node = node(&from_value(object).expect("a node")).expect("valid");
        assert_eq!(node.zone.as_deref(), Some("zone-1"));
        let ranges: Vec<_> = node.pod_cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(ranges, ["10.244.1.0/24", "fd00:1::/64"]);
    }
}
