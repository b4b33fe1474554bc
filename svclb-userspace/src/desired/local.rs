//! What load balancers and operators are told of a Service's endpoints on this node.

use std::{collections::BTreeSet, net::IpAddr};

use super::DesiredPort;
use crate::{
    plan::operation::Family,
    snapshot::{Service, TrafficPolicy},
};

/// A Service's endpoints on this node, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Local {
    /// Ready endpoints on this node: each once, whatever its ports and families.
    pub ready: usize,
    /// `internalTrafficPolicy` is Local, and only other nodes have endpoints that serve.
    pub none_inside: bool,
    /// `externalTrafficPolicy` is Local, and only other nodes have endpoints that serve.
    pub none_outside: bool,
}

impl Local {
    /// Of a Service whose ports should be `ports`.
    pub fn of(service: &Service, ports: &[DesiredPort]) -> Self {
        let none = ports.iter().any(|port| {
            let is_empty = |policy| port.choice.is_empty(policy);
            is_empty(TrafficPolicy::Local) && !is_empty(TrafficPolicy::Cluster)
        });
        Self {
            ready: ready(ports),
            none_inside: none && service.internal_policy == TrafficPolicy::Local,
            none_outside: none && service.external_policy == TrafficPolicy::Local,
        }
    }
}

/// A pod has an address in each family of the Service: the family that has more counts.
fn ready(ports: &[DesiredPort]) -> usize {
    let endpoints = ports.iter().flat_map(|port| &port.choice.endpoints);
    let ready = endpoints.filter(|judged| judged.local == super::Reason::Ready);
    let addresses: BTreeSet<IpAddr> = ready.map(|judged| judged.address.ip()).collect();
    let v4 = addresses.iter().filter(|ip| Family::of(**ip) == Family::V4).count();
    v4.max(addresses.len() - v4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        desired::{NodeContext, desired},
        plan::operation::Protocol,
        snapshot::{Endpoint, EndpointPort, EndpointSlice, Hints, ObjectKey, Port},
    };

    const NODE: &str = "node-1";

    fn port(name: &str) -> Port {
        Port { name: name.into(), protocol: Protocol::Tcp, port: 80, node_port: 0 }
    }

    fn service() -> Service {
        Service {
            cluster_ips: ["10.96.0.1", "fd00::1"].map(|ip| ip.parse().expect("address")).into(),
            ports: [port("http"), port("https")].into(),
            internal_policy: TrafficPolicy::Local,
            external_policy: TrafficPolicy::Local,
            ..Service::default()
        }
    }

    fn endpoint(address: &str, node: &str) -> Endpoint {
        Endpoint {
            address: address.parse().expect("address"),
            ready: true,
            serving: true,
            terminating: false,
            node: Some(node.into()),
            hints: Hints::default(),
        }
    }

    fn slice(endpoints: impl IntoIterator<Item = Endpoint>) -> EndpointSlice {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let family = endpoints.first().map_or(Family::V4, |first| Family::of(first.address));
        let ports = [("http", 8080), ("https", 8443)].map(|(name, port)| EndpointPort {
            name: name.into(),
            protocol: Protocol::Tcp,
            port,
        });
        EndpointSlice {
            service: "web".into(),
            family,
            ports: ports.into(),
            endpoints,
            triggered: None,
        }
    }

    fn local(service: &Service, slices: &[EndpointSlice]) -> Local {
        let node = NodeContext { name: NODE.into(), ..NodeContext::default() };
        let ports = desired(&ObjectKey::new("ns", "web"), service, slices.iter(), &node);
        Local::of(service, &ports)
    }

    #[test]
    fn an_endpoint_counts_once_for_all_ports_and_families() {
        let v4 = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(|ip| endpoint(ip, NODE));
        let v6 = ["fd00:1::1", "fd00:1::2"].map(|ip| endpoint(ip, NODE));
        let far = endpoint("10.0.0.9", "node-2");
        let slices = [slice(v4), slice(v6), slice([far])];
        let expected = Local { ready: 2, ..Local::default() };
        assert_eq!(local(&service(), &slices), expected);
    }

    #[test]
    fn only_ready_endpoints_count() {
        let unready = Endpoint { ready: false, ..endpoint("10.0.0.1", NODE) };
        let ending = Endpoint { terminating: true, ..unready.clone() };
        let count = |endpoint: Endpoint| local(&service(), &[slice([endpoint])]);
        assert_eq!(count(unready), Local::default());
        // It serves, and load balancers are to go elsewhere all the same.
        assert_eq!(count(ending.clone()), Local::default());
        // The Service publishes what is not ready: that is ready to it.
        assert_eq!(count(Endpoint { ready: true, ..ending }).ready, 1);
    }

    #[test]
    fn a_policy_without_endpoints_here_is_told_where_others_have_some() {
        let far = [slice([endpoint("10.0.0.9", "node-2")])];
        let both = Local { ready: 0, none_inside: true, none_outside: true };
        assert_eq!(local(&service(), &far), both);
        assert_eq!(local(&service(), &[]), Local::default());
        let inside = Service { external_policy: TrafficPolicy::Cluster, ..service() };
        assert_eq!(local(&inside, &far), Local { none_outside: false, ..both });
        let outside = Service { internal_policy: TrafficPolicy::Cluster, ..service() };
        assert_eq!(local(&outside, &far), Local { none_inside: false, ..both });
    }
}
