//! Endpoints for the clients of this node or zone, where their hints allow it.

use std::sync::Arc;

use super::{NodeContext, Reason};
use crate::snapshot::Endpoint;

/// Which hints decide about the endpoints of the cluster set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    /// Those of nodes: endpoints that are meant for this node serve.
    Node,
    /// Those of zones: endpoints that are meant for this node's zone serve.
    Zone,
    /// None: every endpoint may serve every client.
    Everywhere,
}

impl Topology {
    /// The rule for `ready` endpoints: hints count where each endpoint has them and one is meant
    /// for this node, first by node, then by zone.
    pub(super) fn of<'a>(
        ready: impl Iterator<Item = &'a Endpoint> + Clone,
        node: &NodeContext,
    ) -> Self {
        let counts = |rule: &Self| {
            let complete = ready.clone().all(|endpoint| !rule.hints(endpoint).is_empty());
            complete && ready.clone().any(|endpoint| rule.judge(endpoint, node).serves())
        };
        [Self::Node, Self::Zone].into_iter().find(counts).unwrap_or(Self::Everywhere)
    }

    /// Why a ready endpoint serves or does not.
    pub(super) fn judge(self, endpoint: &Endpoint, node: &NodeContext) -> Reason {
        let hints = self.hints(endpoint);
        let (is_meant, otherwise) = match self {
            Self::Node => (hints.contains(&node.name), Reason::OtherNode),
            Self::Zone => {
                (node.zone.as_ref().is_some_and(|zone| hints.contains(zone)), Reason::OtherZone)
            }
            Self::Everywhere => return Reason::Ready,
        };
        if is_meant { Reason::Ready } else { otherwise }
    }

    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Everywhere => "everywhere",
        }
    }

    fn hints(self, endpoint: &Endpoint) -> &[Arc<str>] {
        match self {
            Self::Node => &endpoint.hints.nodes,
            Self::Zone => &endpoint.hints.zones,
            Self::Everywhere => &[],
        }
    }
}
