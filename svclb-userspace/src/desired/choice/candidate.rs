//! The endpoints that have a port, each address once.

use std::{cmp::Reverse, net::SocketAddr};

use super::NodeContext;
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointSlice, Hints, Port},
};

/// An endpoint that has the port in question.
pub(super) struct Candidate<'a> {
    pub(super) address: SocketAddr,
    pub(super) endpoint: &'a Endpoint,
    pub(super) is_local: bool,
    /// The one before it has the same address and port, and counts.
    pub(super) is_duplicate: bool,
}

/// All endpoints of `slices` that have `port` in `family`, ordered by address. Of several with one
/// address the first counts: a local one, then the most able one, then the least by its hints.
pub(super) fn all<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: &Port,
    family: Family,
    node: &NodeContext,
) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<_> = slices
        .filter(|slice| slice.family == family)
        .flat_map(|slice| of_slice(slice, port, node))
        .collect();
    candidates.sort_by_key(Candidate::rank);
    let mut before = None;
    for candidate in &mut candidates {
        candidate.is_duplicate = before.replace(candidate.address) == Some(candidate.address);
    }
    candidates
}

type Able = Reverse<(bool, bool, bool, bool)>;

impl<'a> Candidate<'a> {
    /// By everything that decides about an endpoint.
    fn rank(&self) -> (SocketAddr, Able, &'a Hints) {
        let Endpoint { ready, serving, terminating, ref hints, .. } = *self.endpoint;
        (self.address, Reverse((self.is_local, ready, serving, !terminating)), hints)
    }
}

fn of_slice<'a>(
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
            endpoint,
            is_local: node.hosts(endpoint),
            is_duplicate: false,
        })
    })
}
