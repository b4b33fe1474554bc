//! Scenarios of real traffic, each under every preset of the lab.
//!
//! A test's name is `<preset>::<scenario>::<family>`; the presets' labs are built one after the
//! other, each shared by its scenarios. `cargo test --test lab -- routed::` runs one preset,
//! `-- hairpin` one scenario under all.

mod affinity;
mod bare;
mod client;
mod custom;
mod expect;
mod external;
mod families;
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
mod ranges;
mod reach;
mod refusals;
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

use libtest_mimic::Trial;
use svclb_tests::{
    lab::{self, Preset},
    suite,
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
    objects::SCENARIOS,
    external::SCENARIOS,
    policies::SCENARIOS,
    ranges::SCENARIOS,
    affinity::SCENARIOS,
    families::SCENARIOS,
    load::SCENARIOS,
    vanish::SCENARIOS,
    observed::SCENARIOS,
    life::SCENARIOS,
];

fn main() -> ExitCode {
    let code = suite::run(|| presets().flat_map(trials).collect());
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

fn trials(preset: Preset) -> Vec<Trial> {
    SCENARIOS.concat().iter().flat_map(|scenario| scenario.trials(preset)).collect()
}
