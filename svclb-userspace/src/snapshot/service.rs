//! Services.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

use crate::plan::operation::{Family, Protocol};

/// A Service that svclb serves: one with addresses of its own. Headless Services and ExternalName
/// never get this far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Service {
    /// The ClusterIPs; their families are the Service's.
    pub cluster_ips: Vec<IpAddr>,
    /// Addresses that somebody routes to the nodes.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of load balancers that hand packets on as they are: the node sees the address
    /// that the client asked.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Who may ask the load balancers' addresses; a family without ranges is open to all.
    pub source_ranges: Vec<IpNet>,
    /// The ports, in the object's order.
    pub ports: Vec<Port>,
    /// Which endpoints serve clients of the ClusterIPs.
    pub internal_policy: TrafficPolicy,
    /// Which endpoints serve clients from outside, at all other frontends.
    pub external_policy: TrafficPolicy,
    /// How long a client stays with its endpoint; `None`: each flow is chosen for anew.
    pub affinity: Option<Duration>,
    /// Where load balancers ask whether this node has endpoints of the Service; 0 if nowhere.
    pub health_check_node_port: u16,
}

impl Service {
    /// The families that the Service has addresses of, each once.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| self.cluster_ips.iter().any(|ip| Family::of(*ip) == *family))
    }

    /// Whether `ip` is an address of the Service, of whatever kind.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        [&self.cluster_ips, &self.external_ips, &self.load_balancer_ips]
            .iter()
            .any(|ips| ips.contains(&ip))
    }
}

/// Which endpoints a client may reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TrafficPolicy {
    /// Those of the whole cluster.
    #[default]
    Cluster,
    /// Those on this node.
    Local,
}

impl TrafficPolicy {
    /// Its name, as objects have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// A port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Name; empty where the only port has none.
    pub name: Arc<str>,
    /// Protocol.
    pub protocol: Protocol,
    /// The port that clients ask.
    pub port: u16,
    /// The port on every address of the node; 0 if none.
    pub node_port: u16,
}
