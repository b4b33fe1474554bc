//! Which endpoints serve, and why: two sets, one for clients that any endpoint of the cluster may
//! serve, one for those that only endpoints on this node may.

mod candidate;
mod reason;
mod topology;

use std::net::SocketAddr;

use candidate::Candidate;
pub use reason::Reason;
pub use topology::Topology;

use super::NodeContext;
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointSlice, Port, TrafficPolicy},
};

/// All endpoints of a service port in one family, and what was decided about them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Which hints decide about the cluster set.
    pub topology: Topology,
    /// The endpoints, ordered by address; of those with one address, the one that counts first.
    pub endpoints: Vec<Judged>,
}

/// An endpoint and what was decided about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether it is on this node.
    pub is_local: bool,
    /// In or out of the cluster set, and why.
    pub cluster: Reason,
    /// In or out of the local set, and why.
    pub local: Reason,
}

impl Judged {
    /// In or out of the set that a policy allows, and why.
    pub fn reason(&self, policy: TrafficPolicy) -> Reason {
        match policy {
            TrafficPolicy::Cluster => self.cluster,
            TrafficPolicy::Local => self.local,
        }
    }
}

impl Choice {
    /// The set that a policy allows: each address once, in order.
    pub fn set(&self, policy: TrafficPolicy) -> impl Iterator<Item = &Judged> {
        self.endpoints.iter().filter(move |judged| judged.reason(policy).serves())
    }

    /// Whether nobody is in the set that a policy allows.
    pub fn is_empty(&self, policy: TrafficPolicy) -> bool {
        self.set(policy).next().is_none()
    }
}

/// Judges all endpoints that `port` has in `family`.
///
/// - The cluster set: ready endpoints, those that [`Topology`] admits; if none is ready, those that
///   serve while they terminate.
/// - The local set: ready endpoints on this node; if none is, those on this node that serve while
///   they terminate. Hints do not matter.
///
/// The result does not depend on the order of `slices`.
pub fn choose<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: &Port,
    family: Family,
    node: &NodeContext,
) -> Choice {
    let candidates = candidate::all(slices, port, family, node);
    let ready = candidates.iter().filter(|c| !c.is_duplicate && c.endpoint.ready);
    let topology = Topology::of(ready.clone().map(|c| c.endpoint), node);
    let any_ready = ready.clone().next().is_some();
    let any_local_ready = ready.clone().any(|c| c.is_local);
    let judge = |candidate: &Candidate<'_>| {
        let Candidate { address, endpoint, is_local, is_duplicate } = *candidate;
        let cluster = match condition(endpoint, any_ready) {
            Reason::Ready => topology.judge(endpoint, node),
            other => other,
        };
        let local = if is_local { condition(endpoint, any_local_ready) } else { Reason::NotLocal };
        let [cluster, local] = if is_duplicate { [Reason::Duplicate; 2] } else { [cluster, local] };
        Judged { address, is_local, cluster, local }
    };
    Choice { topology, endpoints: candidates.iter().map(judge).collect() }
}

/// What an endpoint's conditions say, if `any_ready` of its set is ready.
///
/// A Service that publishes endpoints that are not ready has all of them ready, also those that
/// terminate and no longer serve: it has asked for that.
fn condition(endpoint: &Endpoint, any_ready: bool) -> Reason {
    match endpoint {
        Endpoint { ready: true, .. } => Reason::Ready,
        Endpoint { terminating: false, .. } => Reason::NotReady,
        Endpoint { serving: false, .. } => Reason::NotServing,
        _ if any_ready => Reason::Terminating,
        _ => Reason::LastResort,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
