//! svclb beside the real kube-proxy: the same objects of one control plane, the same clients in the
//! same lab, and what each of them gets.
//!
//! A [`Scenario`] is a Service of its own, a client, an address to ask, and what must come of it: by
//! the contract, and where it differs from that by kube-proxy ("beyond"). All are driven once with svclb
//! on the nodes and once with kube-proxy, over TCP and UDP in both families. What is seen must be
//! what the scenario says, exactly, so a deviation that goes away is told just as one that comes.
//!
//! `cargo xtask conformance` prints the comparison and writes `docs/conformance.md`, which follows
//! from the scenarios and the rows of the contract alone ([`document`]).

mod ask;
pub mod contract;
pub mod document;
mod elsewhere;
mod judge;
mod objects;
mod proxy;
mod scenario;
pub mod scenarios;
mod seen;
mod world;

use anyhow::Result;

pub use judge::{Judged, Verdict};
pub use proxy::Proxy;
pub use scenario::{Expected, Scenario};
use world::World;

use crate::control_plane::Programs;

/// Runs all scenarios with either proxy, and judges them.
///
/// # Errors
/// The lab or the control plane cannot be built, or a proxy does not start.
pub fn run(programs: Programs) -> Result<Vec<Judged>> {
    let scenarios: Vec<&'static Scenario> = scenarios::all().collect();
    let mut world = World::build(programs, &scenarios)?;
    let svclb = world.observe(Proxy::Svclb, &scenarios)?;
    let kube_proxy = world.observe(Proxy::KubeProxy, &scenarios)?;
    let both = svclb.into_iter().zip(kube_proxy);
    let judged = scenarios.iter().zip(both);
    Ok(judged.map(|(scenario, (svclb, peer))| Judged::new(scenario, svclb, peer)).collect())
}
