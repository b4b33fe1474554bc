//! Endpoints of Services that select Pods, as a cluster's controller finds them.

use std::{collections::BTreeMap, net::IpAddr};

use super::labels::Labels;
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointPort, EndpointSlice, Hints, ObjectKey},
    source::objects::{Pod, ServicePort, ServiceSpec, TargetPort},
};

/// Whether the selector chooses a Pod with these labels. An empty selector chooses none.
pub(super) fn selects(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The slices of the Service `key` in `families`, from the Pods of its namespace.
///
/// Pods whose named ports have different numbers are in different slices.
pub(super) fn slices<'a>(
    key: &ObjectKey,
    spec: &ServiceSpec,
    families: impl Iterator<Item = Family> + Clone,
    pods: impl Iterator<Item = &'a Pod>,
) -> BTreeMap<ObjectKey, EndpointSlice> {
    let mut groups: BTreeMap<(Family, Vec<EndpointPort>), Vec<Endpoint>> = BTreeMap::new();
    let selected = pods.filter(|pod| selects(&spec.selector, &pod.metadata.labels));
    for pod in selected.filter(|pod| !has_ended(pod)) {
        let ports = ports(&spec.ports, pod);
        for family in families.clone() {
            if let Some(address) = address(pod, family) {
                let endpoint = endpoint(pod, address, spec.publish_not_ready_addresses);
                groups.entry((family, ports.clone())).or_default().push(endpoint);
            }
        }
    }
    let named = (0..).zip(groups).map(|(i, ((family, ports), endpoints))| {
        // `~` is in no object's name, so a slice of the folder is never met.
        let name = ObjectKey::new(&key.namespace, &format!("{}~{i}", key.name));
        let service = key.name.clone();
        (name, EndpointSlice { service, family, ports, endpoints, triggered: None })
    });
    named.collect()
}

fn has_ended(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

fn endpoint(pod: &Pod, address: IpAddr, publish_not_ready: bool) -> Endpoint {
    let ready = |condition: &crate::source::objects::PodCondition| {
        condition.kind == "Ready" && condition.status == "True"
    };
    let serving = pod.status.conditions.iter().any(ready);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    Endpoint {
        address,
        ready: publish_not_ready || serving && !terminating,
        serving,
        terminating,
        node: pod.spec.node_name.as_deref().map(Into::into),
        hints: Hints::default(),
    }
}

fn address(pod: &Pod, family: Family) -> Option<IpAddr> {
    let all = pod.status.pod_ips.iter().map(|pod_ip| pod_ip.ip).chain(pod.status.pod_ip);
    all.into_iter().find(|ip| Family::of(*ip) == family)
}

/// The ports of a Pod that stand behind the Service's; those it does not have are left out.
fn ports(ports: &[ServicePort], pod: &Pod) -> Vec<EndpointPort> {
    let target = |port: &ServicePort| {
        let number = match &port.target_port {
            None => port.port,
            Some(TargetPort::Number(number)) => *number,
            Some(TargetPort::Name(name)) => {
                let mut known = pod.spec.containers.iter().flat_map(|c| &c.ports);
                known.find(|p| p.name == *name && p.protocol == port.protocol)?.container_port
            }
        };
        let protocol = port.protocol.protocol();
        Some(EndpointPort { name: port.name.as_str().into(), protocol, port: number.get() })
    };
    ports.iter().filter_map(target).collect()
}
