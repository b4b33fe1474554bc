//! What becomes of the first packet of a flow, by what it asks and who asks.

use std::net::IpAddr;

use super::{Asked, DesiredFrontend, DesiredPort, NodeContext, sources};
use crate::{plan::operation::Protocol, snapshot::TrafficPolicy};

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The source address.
    pub address: IpAddr,
    /// Where it is.
    pub place: Place,
}

/// Where a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A pod of the cluster.
    Pod,
    /// This node itself.
    Host,
    /// Anywhere else, other nodes included.
    Outside,
}

/// What is decided about a new flow, and why.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// An endpoint of the set that the policy allows serves it.
    Serve(TrafficPolicy),
    /// The client is outside the Service's source ranges.
    SourceRange,
    /// The Service has no endpoint anywhere.
    NoEndpoint,
    /// The Service has no endpoint on this node, and no other may serve.
    NoLocalEndpoint,
    /// The Service has no such port.
    NoPort,
    /// No Service has the address.
    NoService,
    /// A Service's address is there.
    Present,
    /// It is no Service's packet.
    NotOurs,
}

/// What is done about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It goes to an endpoint.
    Serve,
    /// It is answered with a TCP reset.
    Reset,
    /// It is answered with an ICMP or ICMPv6 port unreachable.
    Unreachable,
    /// It vanishes, so that the client tries again.
    Drop,
    /// It is answered with an echo reply.
    Reply,
    /// The kernel gets it as it is.
    Pass,
}

impl Action {
    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Reset => "reset",
            Self::Unreachable => "port_unreachable",
            Self::Drop => "drop",
            Self::Reply => "echo_reply",
            Self::Pass => "pass",
        }
    }
}

impl Verdict {
    /// What is done about a packet of `protocol`; `None` is any that no Service has.
    pub fn action(self, protocol: Option<Protocol>) -> Action {
        match self {
            Self::Serve(_) => Action::Serve,
            Self::NoEndpoint | Self::NoPort if protocol == Some(Protocol::Tcp) => Action::Reset,
            Self::NoEndpoint | Self::NoPort => Action::Unreachable,
            Self::SourceRange | Self::NoLocalEndpoint | Self::NoService => Action::Drop,
            Self::Present => Action::Reply,
            Self::NotOurs => Action::Pass,
        }
    }

    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve(TrafficPolicy::Cluster) => "cluster_endpoints",
            Self::Serve(TrafficPolicy::Local) => "local_endpoints",
            Self::SourceRange => "source_range",
            Self::NoEndpoint => "no_endpoint",
            Self::NoLocalEndpoint => "no_local_endpoint",
            Self::NoPort => "no_port",
            Self::NoService => "no_service",
            Self::Present => "present",
            Self::NotOurs => "not_ours",
        }
    }
}

/// Decides about a new flow of `client`.
pub fn verdict(asked: &Asked, client: Client, node: &NodeContext) -> Verdict {
    match asked {
        Asked::Frontend(port, frontend) => at_frontend(port, frontend, client, node),
        Asked::OtherPort => Verdict::NoPort,
        Asked::Unallocated => Verdict::NoService,
        Asked::Echo => Verdict::Present,
        Asked::Nothing => Verdict::NotOurs,
    }
}

/// Which endpoints may serve a client at `place`. A pod or this node need not go through a load
/// balancer to reach the others: what holds for external frontends is for clients outside.
pub fn policy(frontend: &DesiredFrontend, place: Place) -> TrafficPolicy {
    if frontend.kind.is_external() && place != Place::Outside {
        TrafficPolicy::Cluster
    } else {
        frontend.policy
    }
}

fn at_frontend(
    port: &DesiredPort,
    frontend: &DesiredFrontend,
    client: Client,
    node: &NodeContext,
) -> Verdict {
    if let Some((asked, ranges)) = port.guard(frontend)
        && !sources::admits(ranges, asked, client.address, node)
    {
        return Verdict::SourceRange;
    }
    if port.choice.is_empty(TrafficPolicy::Cluster) {
        return Verdict::NoEndpoint;
    }
    let policy = policy(frontend, client.place);
    if port.choice.is_empty(policy) { Verdict::NoLocalEndpoint } else { Verdict::Serve(policy) }
}

#[cfg(test)]
mod tests;
