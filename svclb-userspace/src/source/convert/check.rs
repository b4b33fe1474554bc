//! What is wrong with a Service that could be read.

use std::{collections::HashSet, net::IpAddr};

use super::{FieldError, cluster_ips};
use crate::{
    plan::operation::Family,
    snapshot::ObjectKey,
    source::objects::{ClusterIp, Service, ServiceSpec, ServiceType},
};

/// What a cluster's API server would not accept.
///
/// # Errors
/// The first field that is wrong.
pub(in crate::source) fn check_service(
    key: &ObjectKey,
    object: &Service,
) -> Result<(), FieldError> {
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
    check_frontends(object)?;
    check_ports(spec)
}

/// A frontend at the unspecified address would be one at every address of the node. Addresses that
/// mean something else on every host may be a load balancer's, but nobody can route them here.
fn check_frontends(object: &Service) -> Result<(), FieldError> {
    let check = |field: String, ip: IpAddr, wrong: fn(IpAddr) -> bool| match wrong(ip) {
        true => Err(FieldError::new(field, format!("{ip} cannot be the address of a Service"))),
        false => Ok(()),
    };
    for (i, ip) in cluster_ips(&object.spec).enumerate() {
        check(format!("spec.clusterIPs[{i}]"), ip, |ip| ip.is_unspecified())?;
    }
    for (i, ip) in object.spec.external_ips.iter().enumerate() {
        check(format!("spec.externalIPs[{i}]"), ip.0, is_of_every_host)?;
    }
    for (i, ingress) in object.status.load_balancer.ingress.iter().enumerate() {
        if let Some(ip) = ingress.ip {
            let field = format!("status.loadBalancer.ingress[{i}].ip");
            check(field, ip, |ip| ip.is_unspecified())?;
        }
    }
    Ok(())
}

/// Unspecified, loopback, or of one link, multicast included.
fn is_of_every_host(ip: IpAddr) -> bool {
    let of_a_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.segments()[0] & 0xff0f == 0xff02,
    };
    ip.is_unspecified() || ip.is_loopback() || of_a_link
}

fn check_ports(spec: &ServiceSpec) -> Result<(), FieldError> {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    /// The first thing that is wrong with the Service `ns/web`, as `field: message`.
    fn wrong(object: Value) -> Option<String> {
        let object = from_value(object).expect("a Service");
        let error = check_service(&ObjectKey::new("ns", "web"), &object).err()?;
        Some(format!("{}: {}", error.field, error.message))
    }

    #[test]
    fn an_address_that_means_something_on_every_host_is_no_external_one() {
        let external = |ip: &str| wrong(json!({"spec": {"externalIPs": ["192.0.2.1", ip]}}));
        for ip in ["192.0.2.7", "2001:db8::7", "10.0.0.1", "fd00::1", "239.0.0.1"] {
            assert_eq!(external(ip), None);
        }
        let links = ["169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "ff12::1"];
        for ip in ["0.0.0.0", "::", "127.0.0.1", "::1"].into_iter().chain(links) {
            let expected = format!("spec.externalIPs[1]: {ip} cannot be the address of a Service");
            assert_eq!(external(ip), Some(expected));
        }
    }

    #[test]
    fn the_unspecified_address_is_no_frontend() {
        let ingress = |ip: &str| json!({"loadBalancer": {"ingress": [{"ip": ip}]}});
        assert_eq!(wrong(json!({"status": ingress("127.0.0.1")})), None);
        let found = wrong(json!({"status": ingress("::")})).expect("an error");
        assert!(found.starts_with("status.loadBalancer.ingress[0].ip: :: cannot"), "{found}");
        let found = wrong(json!({"spec": {"clusterIPs": ["0.0.0.0"]}})).expect("an error");
        assert!(found.starts_with("spec.clusterIPs[0]: 0.0.0.0 cannot"), "{found}");
    }
}
