//! Which endpoints serve, and why.

use std::{cmp::Reverse, net::SocketAddr};

use super::NodeContext;
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointSlice, Port},
};

/// Why an endpoint serves or does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is ready.
    Ready,
    /// It is terminating but still serves, and no endpoint is ready.
    LastResort,
    /// It is terminating, and others are ready.
    Terminating,
    /// It is not ready.
    NotReady,
    /// It is terminating and no longer serves.
    NotServing,
    /// Another slice has the same address and port.
    Duplicate,
}

impl Reason {
    /// Whether new flows go to the endpoint.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::LastResort)
    }

    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::LastResort => "serving_while_terminating",
            Self::Terminating => "terminating",
            Self::NotReady => "not_ready",
            Self::NotServing => "not_serving",
            Self::Duplicate => "duplicate",
        }
    }
}

/// An endpoint and what was decided about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether it is on this node.
    pub local: bool,
    /// In or out, and why.
    pub reason: Reason,
}

/// An endpoint that has the port in question.
struct Candidate<'a> {
    address: SocketAddr,
    local: bool,
    endpoint: &'a Endpoint,
}

/// Judges all endpoints that `port` has in `family`, ordered by address.
///
/// Ready endpoints serve; if there are none, those that serve while they terminate.
pub fn choose<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: &Port,
    family: Family,
    node: &NodeContext,
) -> Vec<Judged> {
    let mut candidates: Vec<_> = slices
        .filter(|slice| slice.family == family)
        .flat_map(|slice| candidates(slice, port, node))
        .collect();
    // Of several with one address, the first is kept: a local one, then the most able one.
    candidates
        .sort_by_key(|c| (c.address, Reverse((c.local, c.endpoint.ready, c.endpoint.serving))));
    let repeats = |i: usize| i > 0 && candidates[i - 1].address == candidates[i].address;
    let any_ready = (0..candidates.len()).any(|i| !repeats(i) && candidates[i].endpoint.ready);
    let judge = |(i, candidate): (usize, &Candidate<'_>)| Judged {
        address: candidate.address,
        local: candidate.local,
        reason: if repeats(i) { Reason::Duplicate } else { judge(candidate.endpoint, any_ready) },
    };
    candidates.iter().enumerate().map(judge).collect()
}

fn candidates<'a>(
    slice: &'a EndpointSlice,
    port: &Port,
    node: &NodeContext,
) -> impl Iterator<Item = Candidate<'a>> {
    let number = slice
        .ports
        .iter()
        .find(|p| p.name == port.name && p.protocol == port.protocol)
        .map(|p| p.port);
    number.into_iter().flat_map(move |number| {
        slice.endpoints.iter().map(move |endpoint| Candidate {
            address: SocketAddr::new(endpoint.address, number),
            local: node.hosts(endpoint),
            endpoint,
        })
    })
}

fn judge(endpoint: &Endpoint, any_ready: bool) -> Reason {
    match endpoint {
        Endpoint { ready: true, .. } => Reason::Ready,
        Endpoint { terminating: false, .. } => Reason::NotReady,
        Endpoint { serving: false, .. } => Reason::NotServing,
        _ if any_ready => Reason::Terminating,
        _ => Reason::LastResort,
    }
}

#[cfg(test)]
mod tests;
