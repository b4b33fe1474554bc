//! Why a client is answered by whom it is: the whole decision about a new flow, with its reasons.
//!
//! A pure function of what the agent knows. It shares the rules of endpoints, frontends and verdicts
//! with what is written to the maps; where the kernel programs decide by themselves (who is inside,
//! what is masqueraded), the rule is said here a second time, and tests hold one against the other.

mod client;
mod print;
mod target;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::Serialize;
use svclb_common::frontend::node_flags;

pub use client::{Client, Is};
pub use target::Target;

use crate::{
    desired::{
        Asked, DesiredFrontend, DesiredPort, Destination, FrontendKind, Judged, NodeContext,
        Reason, Topology, Verdict, asked_where,
        verdict::{self, Action},
    },
    plan::operation::{Protocol, ServicePort},
    snapshot::{Snapshot, TrafficPolicy},
};

/// What the agent of a node knows.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The node.
    pub node: &'a NodeContext,
    /// Its addresses, as [`NodePortAddresses::table`](crate::desired::NodePortAddresses::table).
    pub addresses: BTreeMap<IpAddr, u32>,
    /// Clients that are inside, by address.
    pub inside: BTreeSet<IpNet>,
    /// Clients of whom it is known whether they are.
    pub detected: BTreeSet<IpNet>,
    /// How the names of devices for pods begin.
    pub pod_interfaces: Option<String>,
    /// Whether every client of a ClusterIP is masqueraded.
    pub masquerade_all: bool,
    /// Ranges that ClusterIPs are given out from.
    pub service_cidrs: BTreeSet<IpNet>,
}

/// Who asks whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The client's address.
    pub client: IpAddr,
    /// The device that its packets come from, if that is known.
    pub device: Option<String>,
    /// What it asks.
    pub destination: SocketAddr,
    /// By which protocol.
    pub protocol: Protocol,
}

/// What becomes of a new flow, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Who asks.
    pub client: Client,
    /// What is asked.
    pub asked: SocketAddr,
    /// By which protocol.
    pub protocol: Protocol,
    /// The frontend that is there, if any.
    pub frontend: Option<Frontend>,
    /// All endpoints of its service port; none without a frontend.
    pub endpoints: Vec<Endpoint>,
    /// The decision.
    #[serde(serialize_with = "print::verdict")]
    pub verdict: Verdict,
    /// What is done about the flow's first packet.
    #[serde(serialize_with = "print::action")]
    pub action: Action,
}

/// A frontend, and the rule by which it chooses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frontend {
    /// Whose it is.
    #[serde(serialize_with = "print::owner")]
    pub service: ServicePort,
    /// How clients reach it.
    #[serde(serialize_with = "print::kind")]
    pub kind: FrontendKind,
    /// The set of endpoints that the Service's policy allows here.
    #[serde(serialize_with = "print::policy")]
    pub policy: TrafficPolicy,
    /// The set that serves this client: one inside is not held to an external policy.
    #[serde(serialize_with = "print::policy")]
    pub set: TrafficPolicy,
    /// Which hints decide about the cluster set.
    #[serde(serialize_with = "print::topology")]
    pub topology: Topology,
    /// For how many seconds a client stays with its endpoint; 0: each flow is chosen for anew.
    pub affinity: u32,
    /// Who may ask it; everybody if empty.
    pub source_ranges: Vec<IpNet>,
}

/// An endpoint: in or out, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether it is on this node.
    pub is_local: bool,
    /// Whether it may serve this client.
    pub serves: bool,
    /// Why.
    #[serde(serialize_with = "print::reason")]
    pub reason: Reason,
    /// Whose address it sees, if it serves.
    pub sees: Option<Sees>,
}

/// The source address that an endpoint sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// The client's own.
    Client,
    /// One of this node: the client is masqueraded.
    Node,
}

/// Explains what becomes of a new flow.
pub fn explain(facts: &Facts<'_>, question: &Question) -> Explanation {
    let Question { destination, protocol, .. } = *question;
    let client = Client::of(facts, question);
    let asked = asked(facts, client, destination, protocol);
    let place = client.place();
    let decided =
        verdict::verdict(&asked, verdict::Client { address: client.address, place }, facts.node);
    let (frontend, endpoints) = match &asked {
        Asked::Frontend(port, frontend) => {
            let set = verdict::policy(frontend, place);
            let endpoint = |judged| endpoint(facts, client, frontend, set, judged, decided);
            let endpoints = port.choice.endpoints.iter().map(endpoint).collect();
            (Some(told(port, frontend, set)), endpoints)
        }
        _ => (None, Vec::new()),
    };
    Explanation {
        client,
        asked: destination,
        protocol,
        frontend,
        endpoints,
        verdict: decided,
        action: decided.action(Some(protocol)),
    }
}

/// What the destination is. Loopback is the node's own processes' alone.
fn asked(facts: &Facts<'_>, client: Client, destination: SocketAddr, protocol: Protocol) -> Asked {
    let has_node_ports = |ip: IpAddr| {
        let of_client = !ip.is_loopback() || client.is == Is::Node;
        let flags = facts.addresses.get(&if ip.is_loopback() { localhost(ip) } else { ip });
        of_client && flags.is_some_and(|flags| flags & node_flags::NODE_PORTS != 0)
    };
    let service_cidrs: Vec<_> = facts.service_cidrs.iter().copied().collect();
    let destination = Destination::Port(destination, protocol);
    asked_where(facts.snapshot, &service_cidrs, facts.node, destination, has_node_ports)
}

/// The loopback address by which `node_addrs4`/`node_addrs6` know all of a family.
fn localhost(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn told(port: &DesiredPort, frontend: &DesiredFrontend, set: TrafficPolicy) -> Frontend {
    Frontend {
        service: port.owner.clone(),
        kind: frontend.kind,
        policy: frontend.policy,
        set,
        topology: port.choice.topology,
        affinity: port.affinity_seconds(),
        source_ranges: port.guard(frontend).map(|(_, ranges)| ranges.to_vec()).unwrap_or_default(),
    }
}

fn endpoint(
    facts: &Facts<'_>,
    client: Client,
    frontend: &DesiredFrontend,
    set: TrafficPolicy,
    judged: &Judged,
    decided: Verdict,
) -> Endpoint {
    let reason = judged.reason(set);
    let serves = reason.serves() && matches!(decided, Verdict::Serve(_));
    let sees = match is_masqueraded(facts, client, frontend, judged) {
        true => Sees::Node,
        false => Sees::Client,
    };
    let Judged { address, is_local, .. } = *judged;
    Endpoint { address, is_local, serves, reason, sees: serves.then_some(sees) }
}

/// Whether the endpoint sees an address of this node. The node's own processes are given the
/// endpoint at their sockets, so that what they send is theirs.
fn is_masqueraded(
    facts: &Facts<'_>,
    client: Client,
    frontend: &DesiredFrontend,
    endpoint: &Judged,
) -> bool {
    if client.is == Is::Node {
        return false;
    }
    let hairpin = endpoint.address.ip() == client.address;
    let hidden = match frontend.kind.is_external() {
        true => frontend.policy == TrafficPolicy::Cluster && !endpoint.is_local,
        false => facts.masquerade_all || client.is == Is::Outside,
    };
    hairpin || hidden
}

#[cfg(test)]
mod tests;
