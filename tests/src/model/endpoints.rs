//! Which endpoints serve: the contract's third section.

use std::net::SocketAddr;

/// What an endpoint's conditions say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Ready.
    Ready,
    /// Serving, and terminating.
    Leaving,
    /// Not serving.
    Gone,
}

/// One endpoint of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Where it answers.
    pub address: SocketAddr,
    /// It is on this node.
    pub here: bool,
    /// Its conditions.
    pub condition: Condition,
    /// Topology hints: none, or whether they name this node's zone.
    pub hint: Option<bool>,
}

/// Which endpoints may serve a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// Those of the whole cluster.
    Cluster,
    /// Those on this node.
    Local,
}

/// The addresses of the endpoints of `set`.
pub(super) fn serving(endpoints: &[Endpoint], set: Set) -> Vec<SocketAddr> {
    let here = |endpoint: &&Endpoint| set == Set::Cluster || endpoint.here;
    let with = |condition| {
        let is = move |endpoint: &&Endpoint| endpoint.condition == condition;
        endpoints.iter().filter(here).filter(is).collect::<Vec<_>>()
    };
    let ready = with(Condition::Ready);
    let chosen = match set {
        _ if ready.is_empty() => with(Condition::Leaving),
        Set::Cluster => near(ready),
        Set::Local => ready,
    };
    chosen.into_iter().map(|endpoint| endpoint.address).collect()
}

/// Those of this zone, if every one has a hint and some hint names this zone; else all.
fn near(ready: Vec<&Endpoint>) -> Vec<&Endpoint> {
    let all_have = ready.iter().all(|endpoint| endpoint.hint.is_some());
    let is_near = |endpoint: &&Endpoint| endpoint.hint == Some(true);
    if all_have && ready.iter().any(is_near) {
        return ready.into_iter().filter(is_near).collect();
    }
    ready
}
