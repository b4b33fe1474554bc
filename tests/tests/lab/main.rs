//! Scenarios of real traffic, each under every preset of the lab.
//!
//! A test's name is `<preset>::<scenario>::<family>`; a preset's scenarios share its lab, and the
//! presets run side by side. `cargo test --test lab -- routed::` runs one preset,
//! `-- hairpin` one scenario under all.

mod affinity;
mod bare;
mod client;
mod custom;
mod ends;
mod errors;
mod expect;
mod external;
mod families;
mod fragments;
mod health;
mod host;
mod host_modes;
mod inside;
mod left;
mod life;
mod load;
mod node_ports;
mod objects;
mod observed;
mod odd;
mod policies;
mod pressure;
mod ranges;
mod reach;
mod refusals;
mod rolling;
mod scenario;
mod sctp;
mod services;
mod stranded;
mod talk;
mod tuples;
mod untouched;
mod vanish;
mod world;

use std::process::ExitCode;

use svclb_tests::{
    lab::{self, Preset},
    suite::{self, Group},
};

use crate::scenario::Scenario;

const SCENARIOS: &[&[Scenario]] = &[
    bare::SCENARIOS,
    reach::SCENARIOS,
    refusals::SCENARIOS,
    left::SCENARIOS,
    host::SCENARIOS,
    host_modes::SCENARIOS,
    inside::SCENARIOS,
    node_ports::SCENARIOS,
    tuples::SCENARIOS,
    untouched::SCENARIOS,
    sctp::SCENARIOS,
    stranded::SCENARIOS,
    odd::SCENARIOS,
    errors::SCENARIOS,
    objects::SCENARIOS,
    external::SCENARIOS,
    policies::SCENARIOS,
    ranges::SCENARIOS,
    affinity::SCENARIOS,
    families::SCENARIOS,
    fragments::SCENARIOS,
    ends::SCENARIOS,
    pressure::SCENARIOS,
    load::SCENARIOS,
    vanish::SCENARIOS,
    rolling::SCENARIOS,
    observed::SCENARIOS,
    health::SCENARIOS,
    life::SCENARIOS,
];

fn main() -> ExitCode {
    let code = suite::run_groups(|| presets().map(group).collect());
    world::leave();
    code
}

/// The presets that this kernel can have.
fn presets() -> impl Iterator<Item = Preset> {
    Preset::ALL.into_iter().filter(|preset| {
        let possible = !preset.needs_bridge_netfilter() || lab::has_bridge_netfilter();
        if !possible {
            println!("{preset} is left out: this kernel has no br_netfilter (or not loaded)");
        }
        possible
    })
}

fn group(preset: Preset) -> Group {
    let trials = SCENARIOS.concat().iter().flat_map(|scenario| scenario.trials(preset)).collect();
    Group { name: preset.to_string(), trials }
}
