//! ClusterIPs and NodePorts for Services that come without, as a cluster's API server gives them.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use svclb_common::frontend::frontend_flags;

use super::{pool::Pool, ranges::Ranges};
use crate::{
    plan::{
        kernel::KernelState,
        operation::{Family, FrontendAddress, Protocol},
    },
    snapshot::{self, ObjectKey},
    source::{
        convert::{self, FieldError},
        objects::{ClusterIp, IpFamilyPolicy, Service, ServicePort, ServiceSpec, ServiceType},
    },
};

type AddressKey = (ObjectKey, Family);
type PortKey = (ObjectKey, String, Protocol);

/// Stands for a port's name where the health-check node port is meant: no port can be called so.
const HEALTH_CHECK: &str = "(health check)";

/// What Services already have in the maps, so that a restart does not move them.
#[derive(Clone, Debug, Default)]
pub struct InUse {
    addresses: HashMap<AddressKey, IpAddr>,
    node_ports: HashMap<PortKey, u16>,
}

impl InUse {
    /// The addresses and ports of the frontends that were read back.
    pub fn of(kernel: &KernelState) -> Self {
        let mut in_use = Self::default();
        for (address, frontend) in &kernel.frontends {
            let Some((owner, _)) = kernel.names.get(&frontend.service) else { continue };
            let key = ObjectKey::new(&owner.namespace, &owner.name);
            match *address {
                FrontendAddress::NodePort(_, number, protocol) => {
                    in_use.node_ports.insert((key, owner.port_name.clone(), protocol), number);
                }
                FrontendAddress::Address(at, _)
                    if frontend.flags & frontend_flags::EXTERNAL == 0 =>
                {
                    in_use.addresses.insert((key, owner.family), at.ip());
                }
                FrontendAddress::Address(..) | FrontendAddress::Vip(_) => {}
            }
        }
        in_use
    }
}

/// Who has which address and port.
#[derive(Debug)]
pub(super) struct Allocator {
    ranges: Ranges,
    addresses: Pool<AddressKey, IpAddr>,
    node_ports: Pool<PortKey, u16>,
}

/// What a Service has to have: values that its manifest gives, or any.
#[derive(Default)]
struct Needs {
    addresses: Vec<(AddressKey, Option<IpAddr>)>,
    node_ports: Vec<(PortKey, Option<u16>)>,
}

impl Allocator {
    pub(super) fn new(ranges: Ranges) -> Self {
        Self { ranges, addresses: Pool::default(), node_ports: Pool::default() }
    }

    /// A Service has changed: what its manifest says is its own from now on, and what it no longer
    /// needs is free. Adds the Services that lose something by it to `evicted`.
    pub(super) fn claim(
        &mut self,
        key: &ObjectKey,
        old: Option<&Service>,
        new: Option<&Service>,
        evicted: &mut BTreeSet<ObjectKey>,
    ) {
        let needs = |service: Option<&Service>| {
            service.map(|service| self.needs(key, &service.spec)).unwrap_or_default()
        };
        let (old, new) = (needs(old), needs(new));
        replace(&mut self.addresses, old.addresses, new.addresses, |(key, _)| evicted.insert(key));
        replace(&mut self.node_ports, old.node_ports, new.node_ports, |(key, ..)| {
            evicted.insert(key)
        });
    }

    /// Gives a Service back what it had in the maps, where that is still free.
    pub(super) fn restore(&mut self, key: &ObjectKey, service: &Service, in_use: &InUse) {
        let needs = self.needs(key, &service.spec);
        for (key, _) in &needs.addresses {
            let had = in_use.addresses.get(key).filter(|ip| self.ranges.contains(**ip));
            self.addresses.give(key, had.copied().into_iter());
        }
        for (key, _) in &needs.node_ports {
            let had = in_use.node_ports.get(key);
            let had = had.filter(|port| self.ranges.node_ports.contains(port));
            self.node_ports.give(key, had.copied().into_iter());
        }
    }

    /// The Service with everything it needs, and what it could not get.
    pub(super) fn complete(
        &mut self,
        key: &ObjectKey,
        service: &Service,
    ) -> (Option<snapshot::Service>, Vec<FieldError>) {
        let mut service = service.clone();
        let needs = self.needs(key, &service.spec);
        let mut problems: Vec<_> = self.missing_family(&service.spec).into_iter().collect();
        self.give_addresses(needs.addresses, &mut service.spec, &mut problems);
        self.give_node_ports(needs.node_ports, &mut service.spec, &mut problems);
        (convert::service(&service), problems)
    }

    fn give_addresses(
        &mut self,
        needs: Vec<(AddressKey, Option<IpAddr>)>,
        spec: &mut ServiceSpec,
        problems: &mut Vec<FieldError>,
    ) {
        spec.cluster_ip = ClusterIp::Unset;
        spec.cluster_ips.clear();
        for (key, _) in needs {
            let (service, family) = &key;
            let candidates = self.ranges.addresses(&service.to_string(), *family);
            match self.addresses.give(&key, candidates) {
                Some(ip) => spec.cluster_ips.push(ClusterIp::Address(ip)),
                None => problems.push(FieldError::new(
                    "spec.clusterIPs",
                    format!("no {family} address is left for it"),
                )),
            }
        }
    }

    fn give_node_ports(
        &mut self,
        needs: Vec<(PortKey, Option<u16>)>,
        spec: &mut ServiceSpec,
        problems: &mut Vec<FieldError>,
    ) {
        for (key, _) in needs {
            let (service, name, protocol) = &key;
            let candidates = self.ranges.node_ports(&format!("{service} {name}/{protocol}"));
            let given = self.node_ports.give(&key, candidates);
            if name == HEALTH_CHECK {
                let field = "spec.healthCheckNodePort";
                let missing = || FieldError::new(field, "no NodePort is left for it");
                problems.extend(given.is_none().then(missing));
                spec.health_check_node_port = given.unwrap_or_default();
                continue;
            }
            let is_it = |port: &&mut ServicePort| {
                port.name == *name && port.protocol.protocol() == *protocol
            };
            match (spec.ports.iter_mut().find(is_it), given) {
                (Some(port), Some(given)) => port.node_port = given,
                _ => problems.push(FieldError::new("spec.ports", "no NodePort is left for it")),
            }
        }
    }

    fn needs(&self, key: &ObjectKey, spec: &ServiceSpec) -> Needs {
        if spec.kind == ServiceType::ExternalName || convert::is_headless(spec) {
            return Needs::default();
        }
        let given = |family| convert::cluster_ips(spec).find(|ip| Family::of(*ip) == family);
        let families = self.families(spec).into_iter();
        let addresses = families.map(|family| ((key.clone(), family), given(family))).collect();
        let any = has_node_ports(spec);
        let node_ports = spec.ports.iter().filter_map(|port| {
            let key = (key.clone(), port.name.clone(), port.protocol.protocol());
            let given = Some(port.node_port).filter(|number| *number != 0);
            (any || given.is_some()).then_some((key, given))
        });
        let health_check = convert::has_health_check(spec).then(|| {
            let given = Some(spec.health_check_node_port).filter(|number| *number != 0);
            ((key.clone(), HEALTH_CHECK.to_owned(), Protocol::Tcp), given)
        });
        Needs { addresses, node_ports: node_ports.chain(health_check).collect() }
    }

    /// The families that a Service has addresses of, the first one first.
    fn families(&self, spec: &ServiceSpec) -> Vec<Family> {
        let mut families: Vec<Family> = convert::cluster_ips(spec).map(Family::of).collect();
        let asked = spec.ip_families.iter().map(|family| Family::from(*family));
        let served = [Family::V4, Family::V6].into_iter().filter(|f| self.ranges.serves(*f));
        let wanted = match spec.ip_family_policy {
            Some(IpFamilyPolicy::PreferDual | IpFamilyPolicy::RequireDual) => 2,
            Some(IpFamilyPolicy::Single) => 1,
            None => spec.ip_families.len().max(1),
        };
        for family in asked.chain(served) {
            if families.len() < wanted && !families.contains(&family) {
                families.push(family);
            }
        }
        families.retain(|family| self.ranges.serves(*family) || has_address(spec, *family));
        families
    }

    /// What is wrong when the Service asks for a family that has no range.
    fn missing_family(&self, spec: &ServiceSpec) -> Option<FieldError> {
        let needs_none = spec.kind == ServiceType::ExternalName || convert::is_headless(spec);
        let missing = |family: &Family| !self.ranges.serves(*family) && !has_address(spec, *family);
        let required = spec.ip_family_policy == Some(IpFamilyPolicy::RequireDual);
        let both = [Family::V4, Family::V6].into_iter().filter(|_| required);
        let asked = spec.ip_families.iter().map(|family| Family::from(*family));
        let family = asked.chain(both).find(missing).filter(|_| !needs_none)?;
        Some(FieldError::new("spec.ipFamilies", format!("there is no range of {family} addresses")))
    }
}

fn has_address(spec: &ServiceSpec, family: Family) -> bool {
    convert::cluster_ips(spec).any(|ip| Family::of(ip) == family)
}

fn has_node_ports(spec: &ServiceSpec) -> bool {
    match spec.kind {
        ServiceType::NodePort => true,
        ServiceType::LoadBalancer => spec.allocate_load_balancer_node_ports != Some(false),
        ServiceType::ClusterIP | ServiceType::ExternalName => false,
    }
}

/// Replaces what one Service needs of a pool.
fn replace<K, V>(
    pool: &mut Pool<K, V>,
    old: Vec<(K, Option<V>)>,
    new: Vec<(K, Option<V>)>,
    mut evict: impl FnMut(K) -> bool,
) where
    K: Clone + Ord + std::hash::Hash,
    V: Copy + Eq + std::hash::Hash,
{
    for (key, _) in old {
        if !new.iter().any(|(kept, _)| *kept == key) {
            pool.forget(&key);
        }
    }
    for (key, value) in new {
        match value {
            None => pool.unfix(&key),
            Some(value) => {
                if let Some(loser) = pool.fix(&key, value) {
                    evict(loser);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    /// The health-check node port of a Service whose spec has `more`, and what it could not get.
    fn check(allocator: &mut Allocator, name: &str, more: Value) -> (u16, Vec<String>) {
        let mut spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local",
            "allocateLoadBalancerNodePorts": false, "ports": [{"name": "http", "port": 80}]});
        let fields = more.as_object().expect("fields").clone();
        spec.as_object_mut().expect("fields").extend(fields);
        let service = from_value(json!({"spec": spec})).expect("a Service");
        let key = ObjectKey::new("ns", name);
        allocator.claim(&key, None, Some(&service), &mut BTreeSet::new());
        let (service, problems) = allocator.complete(&key, &service);
        let problems = problems.into_iter().map(|problem| problem.field).collect();
        (service.expect("one with addresses").health_check_node_port, problems)
    }

    #[test]
    fn a_health_check_has_a_node_port_of_its_own() {
        let ranges = Ranges { node_ports: 30_000..=30_001, ..Ranges::default() };
        let mut allocator = Allocator::new(ranges);
        let fixed = json!({"healthCheckNodePort": 30_001});
        assert_eq!(check(&mut allocator, "fixed", fixed), (30_001, vec![]));
        let cluster = json!({"externalTrafficPolicy": "Cluster"});
        assert_eq!(check(&mut allocator, "cluster", cluster), (0, vec![]));
        assert_eq!(check(&mut allocator, "given", json!({})), (30_000, vec![]));
        let full = vec!["spec.healthCheckNodePort".to_owned()];
        assert_eq!(check(&mut allocator, "late", json!({})), (0, full));
    }
}
