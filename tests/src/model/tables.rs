//! What the data path is told: Services, their addresses and endpoints, the node.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use super::{
    address::{Net, Protocol, Tuple},
    endpoints::{Endpoint, Set, serving},
};

/// What kind of address clients ask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A ClusterIP.
    ClusterIp,
    /// A port of every address of the node.
    NodePort,
    /// One of the Service's externalIPs.
    ExternalIp,
    /// A load balancer's address.
    LoadBalancer,
}

/// An address that clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frontend {
    /// What kind of address it is.
    pub kind: Kind,
    /// The service that answers.
    pub service: u32,
}

impl Frontend {
    /// Whether clients from outside the cluster ask here.
    pub fn is_external(&self) -> bool {
        self.kind != Kind::ClusterIp
    }
}

/// A port of a Service, in one family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `loadBalancerSourceRanges`; none admit everybody.
    pub source_ranges: Vec<Net>,
    /// `sessionAffinity: ClientIP`.
    pub affinity: bool,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Service {
    /// The endpoints of `set` that serve.
    pub fn serving(&self, set: Set) -> Vec<SocketAddr> {
        serving(&self.endpoints, set)
    }

    /// Whether the traffic policy of such an address is `Local`.
    pub fn is_local(&self, kind: Kind) -> bool {
        if kind == Kind::ClusterIp { self.internal_local } else { self.external_local }
    }

    /// Whether the client may ask at such an address.
    pub(super) fn admits(&self, kind: Kind, client: IpAddr) -> bool {
        let free = kind != Kind::LoadBalancer || self.source_ranges.is_empty();
        free || self.source_ranges.iter().any(|range| range.contains(client))
    }

    /// The endpoint at an address.
    pub(super) fn endpoint(&self, address: SocketAddr) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.address == address)
    }
}

/// What the data path is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tables {
    /// Services by id.
    pub services: BTreeMap<u32, Service>,
    /// Addresses that clients ask.
    pub frontends: BTreeMap<(SocketAddr, Protocol), Frontend>,
    /// Ports of every address of the node, by family (IPv4 or not), port and protocol.
    pub node_ports: BTreeMap<(bool, u16, Protocol), Frontend>,
    /// The node's addresses.
    pub node: BTreeSet<IpAddr>,
    /// The addresses that masquerading takes, by family (IPv4 or not).
    pub masquerade: BTreeMap<bool, IpAddr>,
    /// The first and last masquerade port.
    pub masquerade_ports: (u16, u16),
    /// Addresses of this node's pods.
    pub pods: Vec<Net>,
    /// Addresses that are or were a frontend's or the node's.
    pub asked: BTreeSet<IpAddr>,
    /// Addresses that are or were an endpoint's.
    pub answering: BTreeSet<IpAddr>,
}

impl Tables {
    /// Whether an address may be asked.
    pub(super) fn is_asked(&self, ip: IpAddr) -> bool {
        self.asked.contains(&ip)
    }

    /// Whether an address may answer.
    pub(super) fn answers(&self, ip: IpAddr) -> bool {
        self.answering.contains(&ip)
    }

    /// Whether a client is one of this node's pods, or the node itself.
    pub(super) fn is_inside(&self, client: IpAddr) -> bool {
        self.node.contains(&client) || self.pods.iter().any(|range| range.contains(client))
    }

    /// The frontend of an address of its own.
    pub(super) fn at_address(&self, tuple: &Tuple) -> Option<Frontend> {
        self.frontends.get(&(tuple.dst, tuple.protocol)).copied()
    }

    /// The frontend at a port of the node.
    pub(super) fn at_node(&self, tuple: &Tuple) -> Option<Frontend> {
        let key = (tuple.dst.is_ipv4(), tuple.dst.port(), tuple.protocol);
        self.node_ports.get(&key).filter(|_| self.node.contains(&tuple.dst.ip())).copied()
    }
}
