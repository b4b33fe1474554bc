//! What the maps should say about a Service: a pure function of the Service, its slices and the
//! node.

pub mod asked;
pub mod choice;
pub mod frontends;
pub mod inside;
pub mod node_ports;
pub mod sources;
pub mod verdict;

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use svclb_common::frontend::{backend_flags, frontend_flags};

pub use asked::{Asked, Destination, asked, asked_where};
pub use choice::{Choice, Judged, Reason, Topology};
pub use frontends::{DesiredFrontend, FrontendKind};
pub use inside::Detection;
pub use node_ports::NodePortAddresses;
pub use verdict::{Client, Place, Verdict, verdict};

use crate::{
    plan::operation::{Family, FrontendAddress, ServicePort},
    snapshot::{Endpoint, EndpointSlice, ObjectKey, Port, Service, TrafficPolicy},
};

/// What a decision needs to know of the node it is made on.
#[derive(Clone, Default, Debug)]
pub struct NodeContext {
    /// Name of this node.
    pub name: Arc<str>,
    /// The zone it is in, if it says so.
    pub zone: Option<Arc<str>>,
    /// Every address of this node.
    pub addresses: HashSet<IpAddr>,
    /// Services whose ClusterIPs a process of the node answers by itself.
    pub left_to_host: BTreeSet<ObjectKey>,
}

impl NodeContext {
    /// Whether the endpoint is on this node.
    pub fn hosts(&self, endpoint: &Endpoint) -> bool {
        endpoint.node.as_ref() == Some(&self.name) || self.addresses.contains(&endpoint.address)
    }
}

/// One port of a Service in one family, as the maps should have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DesiredPort {
    /// Whose it is.
    pub owner: ServicePort,
    /// The port that clients ask.
    pub port: u16,
    /// Where clients reach it.
    pub frontends: Vec<DesiredFrontend>,
    /// Who may ask its load balancers' addresses; everybody if empty.
    pub source_ranges: Vec<IpNet>,
    /// The same, with the addresses that may ask themselves on this node: what the maps hold.
    pub admitted: BTreeSet<IpNet>,
    /// How long a client stays with its endpoint; `None`: each flow is chosen for anew.
    pub affinity: Option<Duration>,
    /// All endpoints, each with the reason why it serves or does not.
    pub choice: Choice,
}

/// An endpoint that serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DesiredBackend {
    /// Address and port.
    pub address: SocketAddr,
    /// Bits of [`backend_flags`].
    pub flags: u8,
    /// Share of new flows relative to the others.
    pub weight: u16,
}

impl DesiredPort {
    /// The address of a frontend that not everybody may ask, and the ranges of those who may.
    pub fn guard(&self, frontend: &DesiredFrontend) -> Option<(IpAddr, &[IpNet])> {
        match (frontend.kind, frontend.address) {
            _ if self.source_ranges.is_empty() => None,
            (FrontendKind::LoadBalancer, FrontendAddress::Address(at, _)) => {
                Some((at.ip(), &self.source_ranges))
            }
            _ => None,
        }
    }

    /// Bits of [`frontend_flags`] of one of its frontends.
    pub fn flags(&self, frontend: &DesiredFrontend) -> u32 {
        let guarded = if self.guard(frontend).is_some() { frontend_flags::GUARDED } else { 0 };
        frontend.flags() | guarded
    }

    /// The endpoints of the set that a policy allows, each address once, in order. Where no frontend
    /// has the policy `Local`, nobody needs the local set: it is empty.
    pub fn set(&self, policy: TrafficPolicy) -> impl Iterator<Item = SocketAddr> {
        let needed = policy == TrafficPolicy::Cluster || self.needs_local();
        self.choice.set(policy).filter(move |_| needed).map(|judged| judged.address)
    }

    /// The endpoints of both sets, each address once, in order.
    pub fn backends(&self) -> impl Iterator<Item = DesiredBackend> {
        let needs_local = self.needs_local();
        self.choice.endpoints.iter().filter_map(move |judged| {
            let only = match (judged.cluster.serves(), needs_local && judged.local.serves()) {
                (true, _) => 0,
                (false, true) => backend_flags::LOCAL_ONLY,
                (false, false) => return None,
            };
            let local = if judged.is_local { backend_flags::LOCAL } else { 0 };
            let flags = backend_flags::SERVING | local | only;
            Some(DesiredBackend { address: judged.address, flags, weight: 1 })
        })
    }

    /// The addresses of all endpoints, whether they serve or not: there is something at them, at
    /// whatever port.
    pub fn listed(&self) -> impl Iterator<Item = IpAddr> {
        self.choice.endpoints.iter().map(|judged| judged.address.ip())
    }

    /// The value of `services` for how long clients stay, in seconds; 0 if they do not.
    pub fn affinity_seconds(&self) -> u32 {
        let seconds = self.affinity.map_or(0, |affinity| affinity.as_secs());
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    fn needs_local(&self) -> bool {
        self.frontends.iter().any(|frontend| frontend.policy == TrafficPolicy::Local)
    }
}

/// What the maps should say about the Service `key`: one entry for each port and family.
pub fn desired<'a>(
    key: &ObjectKey,
    service: &Service,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    node: &NodeContext,
) -> Vec<DesiredPort> {
    let left = node.left_to_host.contains(key);
    let one = |port: &Port, family: Family| DesiredPort {
        owner: owner(key, port, family),
        port: port.port,
        frontends: frontends::served(service, port, family, left),
        source_ranges: sources::of(service, family).collect(),
        admitted: sources::admitted(service, family, node),
        affinity: service.affinity,
        choice: choice::choose(slices.clone(), port, family, node),
    };
    let ports = service.ports.iter();
    ports.flat_map(|port| service.families().map(move |family| one(port, family))).collect()
}

fn owner(key: &ObjectKey, port: &Port, family: Family) -> ServicePort {
    ServicePort {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        port_name: port.name.to_string(),
        protocol: port.protocol,
        family,
    }
}
