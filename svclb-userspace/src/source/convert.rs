//! From the objects as they are written to the snapshot's types.

use std::{collections::HashSet, net::IpAddr, time::SystemTime};

use jiff::Timestamp;

use super::objects::{self, AddressType, ClusterIp, ServiceType, parse_ip};
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointPort, EndpointSlice, Node, ObjectKey, Port, Service},
};

/// The label that says whose endpoints a slice holds.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The annotation in which the controller says when what it followed has happened.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The taint of a node that the cluster's autoscaler is about to delete.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The Service as svclb serves it; `None` if it has no address of its own.
pub(super) fn service(object: &objects::Service) -> Option<Service> {
    let spec = &object.spec;
    if spec.kind == ServiceType::ExternalName {
        return None;
    }
    let cluster_ips: Vec<_> = cluster_ips(spec).collect();
    let ports = spec.ports.iter().filter_map(|port| {
        port.protocol.protocol().map(|protocol| Port {
            name: port.name.as_str().into(),
            protocol,
            port: port.port.get(),
            node_port: port.node_port,
        })
    });
    (!cluster_ips.is_empty()).then(|| Service { cluster_ips, ports: ports.collect() })
}

/// The addresses that the object itself gives the Service.
pub(super) fn cluster_ips(spec: &objects::ServiceSpec) -> impl Iterator<Item = IpAddr> {
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
pub(super) fn is_headless(spec: &objects::ServiceSpec) -> bool {
    spec.cluster_ip == ClusterIp::Headless || spec.cluster_ips.contains(&ClusterIp::Headless)
}

/// What a cluster's API server would not accept.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn check_service(key: &ObjectKey, object: &objects::Service) -> Result<(), FieldError> {
    let spec = &object.spec;
    check_label("metadata.name", &key.name)?;
    check_label("metadata.namespace", &key.namespace)?;
    if let (ClusterIp::Address(_), Some(first)) = (spec.cluster_ip, spec.cluster_ips.first())
        && *first != spec.cluster_ip
    {
        return Err(FieldError::new("spec.clusterIPs[0]", "differs from spec.clusterIP"));
    }
    let mut families = HashSet::new();
    for (i, ip) in cluster_ips(spec).enumerate() {
        if !families.insert(Family::of(ip)) {
            return Err(FieldError::new(
                format!("spec.clusterIPs[{i}]"),
                format!("a second {} address", Family::of(ip)),
            ));
        }
    }
    check_ports(spec)
}

fn check_ports(spec: &objects::ServiceSpec) -> Result<(), FieldError> {
    let mut names = HashSet::new();
    let mut numbers = HashSet::new();
    let error = |i: usize, field: &str, message: &str| {
        Err(FieldError::new(format!("spec.ports[{i}]{field}"), message))
    };
    for (i, port) in spec.ports.iter().enumerate() {
        if port.name.is_empty() && spec.ports.len() > 1 {
            return error(i, ".name", "missing: a Service with several ports names them");
        }
        if !port.name.is_empty() {
            check_label(&format!("spec.ports[{i}].name"), &port.name)?;
        }
        if !names.insert(&port.name) {
            return error(i, ".name", "another port of the Service has this name");
        }
        if !numbers.insert((port.port, port.protocol.protocol())) {
            return error(i, "", "another port of the Service has this port and protocol");
        }
        if port.node_port != 0 && spec.kind == ServiceType::ClusterIP {
            return error(i, ".nodePort", "may not be used when spec.type is ClusterIP");
        }
    }
    Ok(())
}

/// A label of DNS (RFC 1123), as the API server wants it for names of Services and ports.
fn check_label(field: &str, text: &str) -> Result<(), FieldError> {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let valid = bytes.len() <= 63
        && ends.iter().all(|end| end.is_some_and(|byte| alphanumeric(*byte)))
        && bytes.iter().all(|byte| alphanumeric(*byte) || *byte == b'-');
    if valid {
        return Ok(());
    }
    let message = format!("{text:?} is not a DNS label: a-z, 0-9 and '-', at most 63");
    Err(FieldError::new(field, message))
}

/// The slice as svclb uses it; `None` if it belongs to no Service or holds names.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn slice(object: &objects::EndpointSlice) -> Result<Option<EndpointSlice>, FieldError> {
    let family = match object.address_type {
        AddressType::IPv4 => Family::V4,
        AddressType::IPv6 => Family::V6,
        AddressType::Fqdn => return Ok(None),
    };
    let Some(service) = object.metadata.labels.get(SERVICE_NAME) else { return Ok(None) };
    let ports = object.ports.iter().filter_map(|port| {
        let name = port.name.as_deref()?.into();
        Some(EndpointPort { name, protocol: port.protocol.protocol()?, port: port.port?.get() })
    });
    let endpoints = object.endpoints.iter().enumerate();
    let endpoints = endpoints.map(|(i, from)| endpoint(i, from, family));
    Ok(Some(EndpointSlice {
        service: service.as_str().into(),
        family,
        ports: ports.collect(),
        endpoints: endpoints.collect::<Result<_, _>>()?,
        triggered: trigger_time(&object.metadata),
    }))
}

/// A time that cannot be read is as good as none: nothing but a measurement needs it.
fn trigger_time(metadata: &objects::Metadata) -> Option<SystemTime> {
    let time: Timestamp = metadata.annotations.get(TRIGGER_TIME)?.parse().ok()?;
    Some(time.into())
}

fn endpoint(i: usize, object: &objects::Endpoint, family: Family) -> Result<Endpoint, FieldError> {
    let error = |field: &str, message| FieldError::new(format!("endpoints[{i}].{field}"), message);
    // All addresses of an endpoint are fungible (EndpointSlice API); consumers take the first.
    let first =
        object.addresses.first().ok_or_else(|| error("addresses", "is empty".to_owned()))?;
    let address = parse_ip(first).map_err(|message| error("addresses[0]", message))?;
    if Family::of(address) != family {
        return Err(error("addresses[0]", format!("{first:?} is not an {family} address")));
    }
    let conditions = object.conditions;
    Ok(Endpoint {
        address,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        node: object.node_name.as_deref().map(Into::into),
    })
}

/// The node as svclb uses it.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn node(object: &objects::Node) -> Result<Node, FieldError> {
    let is_ip = |kind: &str| matches!(kind, "InternalIP" | "ExternalIP");
    let addresses = object.status.addresses.iter().enumerate();
    let addresses = addresses.filter(|(_, address)| is_ip(&address.kind)).map(|(i, address)| {
        parse_ip(&address.address)
            .map_err(|e| FieldError::new(format!("status.addresses[{i}].address"), e))
    });
    let tainted = object.spec.taints.iter().any(|taint| taint.key == TO_BE_DELETED);
    Ok(Node {
        addresses: addresses.collect::<Result<_, _>>()?,
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
    fn a_slice_says_when_it_was_triggered_or_nothing() {
        let triggered = |text: &str| {
            let object = json!({
                "metadata": {
                    "labels": {SERVICE_NAME: "web"},
                    "annotations": {TRIGGER_TIME: text},
                },
                "addressType": "IPv4",
            });
            let slice = slice(&from_value(object).expect("a slice")).expect("valid");
            slice.expect("of a Service").triggered
        };
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_500);
        assert_eq!(triggered("1970-01-01T00:00:01.5Z"), Some(time));
        assert_eq!(triggered("yesterday"), None);
    }
}
