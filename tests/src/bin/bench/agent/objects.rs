//! The objects of the bench: Services, the slices that it writes for them, and Pods of others.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::{Value, json};

/// The port of every Service.
const PORT: u16 = 80;
/// The port of every endpoint.
const TARGET: u16 = 8080;
/// The first address of an endpoint; there are four million from here on.
const FIRST: u32 = u32::from_be_bytes([10, 128, 0, 0]);
/// The first address of a Pod.
const FIRST_POD: u32 = u32::from_be_bytes([10, 192, 0, 1]);

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Services.
    pub(super) services: u32,
    /// Endpoints of each.
    pub(super) endpoints: u32,
}

impl Size {
    /// Endpoints of all Services.
    pub(super) fn all_endpoints(self) -> u32 {
        self.services * self.endpoints
    }
}

/// The name of Service `i`.
pub(super) fn name(i: u32) -> String {
    format!("bench-{i}")
}

/// The name of Pod `i`, and of the Service that selects it alone.
pub(super) fn pod_name(i: u32) -> String {
    format!("bench-pod-{i}")
}

/// The address of Pod `i`.
pub(super) fn pod_address(i: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_POD + i)
}

/// A Service; the API server gives it its address.
///
/// # Errors
/// Never, unless the API's type changes.
pub(super) fn service(name: &str, app: Option<&str>) -> Result<Service> {
    let selector = app.map(|app| json!({ "app": app }));
    let object = json!({
        "metadata": { "name": name },
        "spec": { "selector": selector, "ports": [{ "port": PORT, "targetPort": TARGET }] },
    });
    serde_json::from_value(object).context("a Service")
}

/// A Pod on a node that is ready, as YAML with the status that its kubelet would write.
pub(super) fn pod(i: u32, node: &str) -> String {
    let (name, ip) = (pod_name(i), pod_address(i));
    let object = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "nodeName": node, "containers": [{ "name": "server", "image": "none" }] },
        "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
    });
    object.to_string()
}

/// A Pod's status that says whether it is ready.
pub(super) fn readiness(ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({ "status": { "conditions": [{ "type": "Ready", "status": status }] } })
}

/// Which addresses the endpoints of each Service have.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    size: Size,
    addresses: Vec<Vec<Ipv4Addr>>,
    /// How many addresses have been given.
    given: u32,
}

impl Endpoints {
    /// An address of its own for every endpoint.
    pub(super) fn new(size: Size) -> Self {
        let service = |i| (0..size.endpoints).map(|j| address(i * size.endpoints + j)).collect();
        let addresses = (0..size.services).map(service).collect();
        Self { size, addresses, given: size.all_endpoints() }
    }

    /// Replaces one endpoint by another, as when a Pod is replaced; the Service, which is the next
    /// one each time, and the new address.
    pub(super) fn replace(&mut self) -> (u32, Ipv4Addr) {
        let (number, new) = (self.given - self.size.all_endpoints(), address(self.given));
        let (service, endpoint) =
            (number % self.size.services, number / self.size.services % self.size.endpoints);
        self.given += 1;
        self.addresses[service as usize][endpoint as usize] = new;
        (service, new)
    }

    /// The same, `number` times.
    pub(super) fn replace_many(&mut self, number: u32) {
        for _ in 0..number {
            self.replace();
        }
    }

    /// The addresses of Service `i`.
    pub(super) fn of(&self, i: u32) -> &[Ipv4Addr] {
        &self.addresses[i as usize]
    }

    /// The slice of Service `i`. Its manager is not the controller, which leaves it alone.
    ///
    /// # Errors
    /// Never, unless the API's type changes.
    pub(super) fn slice(&self, i: u32) -> Result<EndpointSlice> {
        let ready = json!({ "ready": true, "serving": true, "terminating": false });
        let endpoint = |ip: &Ipv4Addr| json!({ "addresses": [ip], "conditions": ready });
        let labels = json!({
            "kubernetes.io/service-name": name(i),
            "endpointslice.kubernetes.io/managed-by": "svclb-bench",
        });
        let object = json!({
            "metadata": { "name": name(i), "labels": labels },
            "addressType": "IPv4",
            "ports": [{ "name": "", "port": TARGET, "protocol": "TCP" }],
            "endpoints": self.of(i).iter().map(endpoint).collect::<Vec<_>>(),
        });
        serde_json::from_value(object).context("an EndpointSlice")
    }
}

fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST + n)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn changes_go_round_the_services_and_take_new_addresses() {
        let mut endpoints = Endpoints::new(Size { services: 3, endpoints: 2 });
        let mut all: HashSet<_> = endpoints.addresses.concat().into_iter().collect();
        assert_eq!(all.len(), 6);
        for number in 0..12 {
            let before = endpoints.clone();
            let (service, new) = endpoints.replace();
            assert_eq!(service, number % 3);
            assert!(all.insert(new) && endpoints.of(service).contains(&new));
            let differ =
                |i| before.of(i).iter().zip(endpoints.of(i)).filter(|(a, b)| a != b).count();
            assert_eq!((0..3).map(differ).sum::<usize>(), 1);
        }
        // Every endpoint has had its turn, twice.
        assert!(endpoints.addresses.concat().iter().all(|ip| *ip >= address(12)));
    }

    #[test]
    fn a_slice_is_not_the_controllers() {
        let slice = Endpoints::new(Size { services: 1, endpoints: 10 }).slice(0).unwrap();
        assert_eq!(slice.endpoints.len(), 10);
        let labels = slice.metadata.labels.unwrap();
        assert_eq!(labels["kubernetes.io/service-name"], "bench-0");
        assert_ne!(
            labels["endpointslice.kubernetes.io/managed-by"],
            "endpointslice-controller.k8s.io"
        );
    }
}
