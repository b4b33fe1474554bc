//! Where a Service's port is reached: one list of kinds.

use std::net::{IpAddr, SocketAddr};

use svclb_common::frontend::frontend_flags;

use crate::{
    plan::operation::{Family, FrontendAddress},
    snapshot::{Port, Service, TrafficPolicy},
};

/// A way in which clients reach a Service.
///
/// The order is that of claims: where one address and port is a frontend of several kinds, the
/// least one counts. Whoever names somebody's ClusterIP as an external address gets nothing by it,
/// and an address of a load balancer keeps its source ranges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrontendKind {
    /// The address that the cluster gave the Service.
    ClusterIp,
    /// A port of every address of the node.
    NodePort,
    /// An address of a load balancer that hands packets on as they are.
    LoadBalancer,
    /// An address that somebody routes to the nodes.
    ExternalIp,
}

impl FrontendKind {
    /// All kinds, in the order of claims.
    pub const ALL: [Self; 4] =
        [Self::ClusterIp, Self::NodePort, Self::LoadBalancer, Self::ExternalIp];

    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "load-balancer IP",
            Self::ExternalIp => "external IP",
        }
    }

    /// Whether clients outside the cluster are expected here.
    pub fn is_external(self) -> bool {
        self != Self::ClusterIp
    }

    /// Where the port is found in one family.
    fn addresses(self, service: &Service, port: &Port, family: Family) -> Vec<FrontendAddress> {
        let at = |ips: &[IpAddr]| {
            let ips = ips.iter().filter(|ip| Family::of(**ip) == family);
            let at = |ip| FrontendAddress::Address(SocketAddr::new(ip, port.port), port.protocol);
            ips.copied().map(at).collect()
        };
        match self {
            Self::ClusterIp => at(&service.cluster_ips),
            Self::LoadBalancer => at(&service.load_balancer_ips),
            Self::ExternalIp => at(&service.external_ips),
            Self::NodePort if port.node_port == 0 => Vec::new(),
            Self::NodePort => {
                vec![FrontendAddress::NodePort(family, port.node_port, port.protocol)]
            }
        }
    }

    /// Which of the Service's two policies holds here.
    fn policy(self, service: &Service) -> TrafficPolicy {
        if self.is_external() { service.external_policy } else { service.internal_policy }
    }
}

/// A frontend of a service port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DesiredFrontend {
    /// What clients ask.
    pub address: FrontendAddress,
    /// How they come to it.
    pub kind: FrontendKind,
    /// Which endpoints may serve them here.
    pub policy: TrafficPolicy,
}

impl DesiredFrontend {
    /// Bits of [`frontend_flags`], but for what depends on the service's source ranges.
    pub(super) fn flags(&self) -> u32 {
        let external = if self.kind.is_external() { frontend_flags::EXTERNAL } else { 0 };
        let local = if self.policy == TrafficPolicy::Local { frontend_flags::LOCAL } else { 0 };
        external | local
    }
}

/// The frontends of `port` in `family`, each once, and their addresses without a port.
pub fn of(service: &Service, port: &Port, family: Family) -> Vec<DesiredFrontend> {
    let mut found: Vec<DesiredFrontend> = Vec::new();
    for kind in FrontendKind::ALL {
        let policy = kind.policy(service);
        let mut add = |address, policy| {
            if found.iter().all(|known| known.address != address) {
                found.push(DesiredFrontend { address, kind, policy });
            }
        };
        for address in kind.addresses(service, port, family) {
            add(address, policy);
            if let Some(ip) = address.ip() {
                add(FrontendAddress::Vip(ip), TrafficPolicy::Cluster);
            }
        }
    }
    found
}

/// The same without the ports of ClusterIPs, if those are `left` to a process of the node. (What is on
/// no interface is still nobody else's.)
pub fn served(service: &Service, port: &Port, family: Family, left: bool) -> Vec<DesiredFrontend> {
    let mut found = of(service, port, family);
    found.retain(|frontend| {
        !left || frontend.kind != FrontendKind::ClusterIp || frontend.address.is_vip()
    });
    found
}

/// The addresses of `service` that lead nowhere, because it has no ClusterIP of their family, with
/// the field that names them.
pub fn without_family(service: &Service) -> impl Iterator<Item = (&'static str, IpAddr)> {
    let external = service.external_ips.iter().map(|ip| ("spec.externalIPs", *ip));
    let balancers = service.load_balancer_ips.iter();
    let balancers = balancers.map(|ip| ("status.loadBalancer.ingress", *ip));
    external.chain(balancers).filter(|(_, ip)| service.families().all(|f| f != Family::of(*ip)))
}

#[cfg(test)]
mod tests;
