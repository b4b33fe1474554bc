//! What an address and port are to the Services of the cluster.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{DesiredFrontend, DesiredPort, NodeContext, desired, frontends, owner};
use crate::{
    plan::operation::{Family, FrontendAddress, Protocol, ServicePort},
    snapshot::{ObjectKey, Service, Snapshot},
};

/// The destination of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// A port, by a protocol that Services have.
    Port(SocketAddr, Protocol),
    /// An address, with an echo request.
    Echo(IpAddr),
    /// An address, by any other protocol.
    Other(IpAddr),
}

impl Destination {
    /// The address.
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Port(at, _) => at.ip(),
            Self::Echo(ip) | Self::Other(ip) => ip,
        }
    }

    /// The protocol, if Services have it.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Port(_, protocol) => Some(protocol),
            Self::Echo(_) | Self::Other(_) => None,
        }
    }
}

/// What a packet asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A frontend of a service port.
    Frontend(Box<DesiredPort>, DesiredFrontend),
    /// A port or protocol that the Service with this ClusterIP does not have.
    OtherPort,
    /// An address from which ClusterIPs are given out, but which no Service has.
    Unallocated,
    /// Whether a Service's address is there, and it is none of this node's own.
    Echo,
    /// Anything else. So are external addresses and those of load balancers at ports that no
    /// Service has there, and those of load balancers that are proxies.
    Nothing,
}

/// What a packet to `destination` asks on this node. ClusterIPs are given out from
/// `service_cidrs`.
///
/// Every Service is looked at: this is for commands and tests.
pub fn asked(
    snapshot: &Snapshot,
    service_cidrs: &[IpNet],
    node: &NodeContext,
    destination: Destination,
) -> Asked {
    let is_own = |ip| node.addresses.contains(&ip);
    asked_where(snapshot, service_cidrs, node, destination, is_own)
}

/// The same where NodePorts answer only at addresses that `has_node_ports` of.
pub fn asked_where(
    snapshot: &Snapshot,
    service_cidrs: &[IpNet],
    node: &NodeContext,
    destination: Destination,
    has_node_ports: impl Fn(IpAddr) -> bool,
) -> Asked {
    let ip = destination.ip();
    let is_own = node.addresses.contains(&ip);
    if let Destination::Port(at, protocol) = destination {
        let exact = FrontendAddress::Address(at, protocol);
        let node_port = has_node_ports(ip)
            .then(|| FrontendAddress::NodePort(Family::of(ip), at.port(), protocol));
        let mut addresses = [Some(exact), node_port].into_iter().flatten();
        if let Some(asked) = addresses.find_map(|address| at_frontend(snapshot, node, address)) {
            return asked;
        }
    }
    let any = |has: fn(&Service, IpAddr) -> bool| snapshot.services().any(|(_, s)| has(s, ip));
    match destination {
        Destination::Echo(_) if !is_own && any(Service::has_address) => Asked::Echo,
        _ if any(|service, ip| service.cluster_ips.contains(&ip)) => Asked::OtherPort,
        _ if service_cidrs.iter().any(|cidr| cidr.contains(&ip)) => Asked::Unallocated,
        _ => Asked::Nothing,
    }
}

/// The service port that has `address`, if any. Of several that claim it, the one that the engine
/// gives it to: the least kind of frontend, then the least owner.
fn at_frontend(snapshot: &Snapshot, node: &NodeContext, address: FrontendAddress) -> Option<Asked> {
    let claims = snapshot
        .services()
        .flat_map(|(key, service)| claims(key, service, address, node.left_to_host.contains(key)));
    let (frontend, owner) = claims.min_by(|(a, x), (b, y)| (a.kind, x).cmp(&(b.kind, y)))?;
    let key = ObjectKey::new(&owner.namespace, &owner.name);
    let slices: Vec<_> = snapshot.slices(&key).collect();
    let ports = desired(&key, snapshot.service(&key)?, slices.into_iter(), node);
    let port = ports.into_iter().find(|port| port.owner == owner)?;
    Some(Asked::Frontend(Box::new(port), frontend))
}

fn claims(
    key: &ObjectKey,
    service: &Service,
    address: FrontendAddress,
    left: bool,
) -> Vec<(DesiredFrontend, ServicePort)> {
    let family = address.family();
    if service.families().all(|known| known != family) {
        return Vec::new();
    }
    let of_port = |port| {
        let frontends = frontends::served(service, port, family, left).into_iter();
        let asked = frontends.filter(|frontend| frontend.address == address);
        asked.map(move |frontend| (frontend, owner(key, port, family)))
    };
    service.ports.iter().flat_map(of_port).collect()
}

#[cfg(test)]
mod tests;
