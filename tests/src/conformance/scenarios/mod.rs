//! The scenarios, by section of the contract.

mod affinity;
mod choice;
mod node_port;
mod sources;
mod verdicts;
mod watched;

use super::scenario::{Endpoint, Frontend, Place, Scenario, Service, expect};

/// Both endpoints, ready.
const BOTH: &[Endpoint] = &[Endpoint::NEAR, Endpoint::FAR];

/// All, in the contract's order. The last one serves pods, which tells that all are programmed.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let sections = [
        watched::SCENARIOS,
        choice::SCENARIOS,
        verdicts::SCENARIOS,
        sources::SCENARIOS,
        node_port::SCENARIOS,
        affinity::SCENARIOS,
    ];
    sections.into_iter().flatten()
}

/// A scenario with one frontend.
const fn one(
    row: &'static str,
    name: &'static str,
    (service, endpoints): (Service, &'static [Endpoint]),
    (from, to): (Place, &'static [Frontend]),
    expected: super::Expected,
) -> Scenario {
    Scenario { row, name, service, endpoints, from, to, expected }
}
