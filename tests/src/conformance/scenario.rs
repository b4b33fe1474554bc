//! What a scenario says.

use crate::traffic::probe::Protocol;

/// One question to one Service, and what must come of it.
#[derive(Debug)]
pub struct Scenario {
    /// The row of the contract, by its id.
    pub row: &'static str,
    /// What happens, in the words of a test's name.
    pub name: &'static str,
    /// The Service.
    pub service: Service,
    /// Its endpoints.
    pub endpoints: &'static [Endpoint],
    /// Those that it has afterwards, if they change: it is asked before and after, and what is seen
    /// after counts.
    pub then: Option<&'static [Endpoint]>,
    /// Who asks.
    pub from: Place,
    /// By which means.
    pub protocols: &'static [Protocol],
    /// What is asked, one after the other; what is seen is put together.
    pub to: &'static [Frontend],
    /// What must come of it.
    pub expected: Expected,
}

/// A Service of type LoadBalancer, so that it has a frontend of every kind; of both families, with
/// one port for TCP and UDP.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `sessionAffinity: ClientIP`.
    pub affinity: bool,
    /// Nobody listens at its target port.
    pub closed: bool,
    /// `loadBalancerSourceRanges`.
    pub source_ranges: &'static [&'static str],
    /// `ipMode` of the load balancer's addresses.
    pub ip_mode: Option<&'static str>,
    /// A label of the Service that is not empty.
    pub label: Option<(&'static str, &'static str)>,
    /// A label of its slices.
    pub slice_label: Option<(&'static str, &'static str)>,
}

impl Service {
    /// With the API's defaults.
    pub const PLAIN: Self = Self {
        external_local: false,
        internal_local: false,
        affinity: false,
        closed: false,
        source_ranges: &[],
        ip_mode: None,
        label: None,
        slice_label: None,
    };
    /// With `externalTrafficPolicy: Local`.
    pub const EXTERNAL_LOCAL: Self = Self { external_local: true, ..Self::PLAIN };
    /// With `internalTrafficPolicy: Local`.
    pub const INTERNAL_LOCAL: Self = Self { internal_local: true, ..Self::PLAIN };
    /// With session affinity.
    pub const AFFINE: Self = Self { affinity: true, ..Self::PLAIN };
}

/// An endpoint in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The pod that it stands for.
    pub pod: Server,
    /// The conditions ready, serving and terminating, as they are written.
    pub conditions: [Option<bool>; 3],
    /// The zone that its hints name.
    pub zone_hint: Option<&'static str>,
    /// The node that its hints name.
    pub node_hint: Option<&'static str>,
    /// Whether only the slices' TCP or UDP port is there.
    pub only: Option<&'static str>,
    /// Another pod whose address comes after its own.
    pub second: Option<Server>,
}

/// A pod that serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// On the node whose proxy is asked.
    Near,
    /// On the other node.
    Far,
}

impl Server {
    /// All.
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];

    /// Its name, and how many its node is.
    pub const fn place(self) -> (&'static str, u8) {
        match self {
            Self::Near => ("near", 1),
            Self::Far => ("far", 2),
        }
    }
}

impl Endpoint {
    /// A ready endpoint on the first node.
    pub const NEAR: Self = Self::of(Server::Near);
    /// A ready endpoint on the other node.
    pub const FAR: Self = Self::of(Server::Far);

    const fn of(pod: Server) -> Self {
        let conditions = [Some(true), Some(true), Some(false)];
        Self { pod, conditions, zone_hint: None, node_hint: None, only: None, second: None }
    }

    /// It ends, and still serves or not.
    pub const fn terminating(self, serving: bool) -> Self {
        Self { conditions: [Some(false), Some(serving), Some(true)], ..self }
    }

    /// It is not ready, and does not end.
    pub const fn unready(self) -> Self {
        Self { conditions: [Some(false), Some(false), Some(false)], ..self }
    }

    /// Nothing is said about its conditions.
    pub const fn unsaid(self) -> Self {
        Self { conditions: [None; 3], ..self }
    }

    /// It is for clients of a zone.
    pub const fn for_zone(self, zone: &'static str) -> Self {
        Self { zone_hint: Some(zone), ..self }
    }

    /// It is for clients on a node.
    pub const fn for_node(self, node: &'static str) -> Self {
        Self { node_hint: Some(node), ..self }
    }

    /// It has another pod's address beside its own.
    pub const fn and(self, second: Server) -> Self {
        Self { second: Some(second), ..self }
    }

    /// It serves one protocol only.
    pub const fn only(self, protocol: &'static str) -> Self {
        Self { only: Some(protocol), ..self }
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A pod on the first node.
    Pod,
    /// The endpoint on the first node.
    Endpoint,
    /// A process of the first node.
    Host,
    /// A machine that is no part of the cluster and sends everything to the first node.
    Outside,
}

impl Place {
    /// The name that tables show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Endpoint => "the endpoint itself",
            Self::Host => "host",
            Self::Outside => "outside",
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frontend {
    /// The Service's ClusterIP.
    ClusterIp,
    /// The Service's ClusterIP at a port that it does not have.
    ClusterIpOtherPort,
    /// An address of the range of ClusterIPs that no Service has.
    Unallocated,
    /// The NodePort at the first node's address.
    NodePort,
    /// The NodePort at loopback.
    Localhost,
    /// The external address.
    ExternalIp,
    /// The load balancer's address.
    LoadBalancer,
    /// The load balancer's address at a port that no Service has there.
    LoadBalancerOtherPort,
    /// The port of the health check at the first node's address.
    HealthCheck,
}

impl Frontend {
    /// The name that tables show.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::ClusterIpOtherPort => "ClusterIP, other port",
            Self::Unallocated => "unallocated ClusterIP",
            Self::NodePort => "NodePort",
            Self::Localhost => "NodePort on localhost",
            Self::ExternalIp => "external IP",
            Self::LoadBalancer => "load-balancer IP",
            Self::LoadBalancerOtherPort => "load-balancer IP, other port",
            Self::HealthCheck => "health check",
        }
    }
}

/// What must come of a scenario, in the words of what is seen.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// By the contract, and of svclb.
    pub contract: &'static str,
    /// What kube-proxy does instead, and why svclb does not.
    pub beyond: Option<(&'static str, &'static str)>,
}

/// Both do what the contract says.
pub(super) const fn expect(contract: &'static str) -> Expected {
    Expected { contract, beyond: None }
}

impl Expected {
    /// kube-proxy does something else, for a reason.
    pub(super) const fn beyond(self, kube_proxy: &'static str, why: &'static str) -> Self {
        Self { beyond: Some((kube_proxy, why)), ..self }
    }

    /// What kube-proxy must show.
    pub fn kube_proxy(&self) -> &'static str {
        self.beyond.map_or(self.contract, |(seen, _why)| seen)
    }
}
