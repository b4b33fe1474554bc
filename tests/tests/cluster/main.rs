//! Scenarios with a real control plane: what the API says is what traffic does.
//!
//! All share one control plane and one lab, and go one after the other. `cargo test --test cluster
//! -- scale` runs one. Where the programs of the control plane are missing, all are skipped.
//!
//! `SVCLB_TEST_OUTAGE=60` makes the outage of the API server a minute; it is a few seconds
//! otherwise.

mod agents;
mod changes;
mod controllers;
mod documentation;
mod health;
mod observed;
mod outage;
mod policies;
mod probe;
mod ranges;
mod services;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use svclb_tests::{control_plane::Programs, suite};

use crate::world::World;

/// One thing that must work.
type Scenario = (&'static str, fn(&mut World) -> anyhow::Result<()>);

const SCENARIOS: &[&[Scenario]] = &[
    controllers::SCENARIOS,
    // Before others leave what waits for its last flow, which an agent frees when it starts.
    agents::SCENARIOS,
    services::SCENARIOS,
    ranges::SCENARIOS,
    changes::SCENARIOS,
    policies::SCENARIOS,
    health::SCENARIOS,
    documentation::SCENARIOS,
    observed::SCENARIOS,
    outage::SCENARIOS,
];

fn main() -> ExitCode {
    let code = suite::run(trials);
    world::leave();
    code
}

fn trials() -> Vec<Trial> {
    let missing = Programs::find().err();
    if let Some(why) = &missing {
        println!("skipped: {why:#}");
    }
    SCENARIOS.concat().into_iter().map(|scenario| trial(scenario, missing.is_some())).collect()
}

fn trial((name, run): Scenario, skipped: bool) -> Trial {
    let inside = move || world::within(run).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, inside).with_ignored_flag(skipped)
}
