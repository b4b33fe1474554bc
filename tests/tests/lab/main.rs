//! Scenarios of real traffic, each under every preset of the lab.
//!
//! A test's name is `<preset>::<scenario>::<family>`; the presets' labs are built one after the
//! other, each shared by its scenarios. `cargo test --test lab -- routed::` runs one preset,
//! `-- hairpin` one scenario under all.

mod bare;
mod client;
mod life;
mod load;
mod objects;
mod odd;
mod reach;
mod scenario;
mod services;
mod tuples;
mod untouched;
mod world;

use libtest_mimic::{Arguments, Trial};
use svclb_tests::lab::Preset;

use crate::scenario::Scenario;

fn main() {
    let mut arguments = Arguments::from_args();
    // The scenarios of a preset share its lab, so they go one after the other.
    arguments.test_threads = Some(1);
    let scenarios: Vec<Scenario> = [
        bare::SCENARIOS,
        reach::SCENARIOS,
        tuples::SCENARIOS,
        untouched::SCENARIOS,
        odd::SCENARIOS,
        objects::SCENARIOS,
        load::SCENARIOS,
        life::SCENARIOS,
    ]
    .concat();
    let trials = Preset::ALL.iter().flat_map(|preset| trials(*preset, &scenarios)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::leave();
    conclusion.exit();
}

fn trials(preset: Preset, scenarios: &[Scenario]) -> Vec<Trial> {
    scenarios.iter().flat_map(|scenario| scenario.trials(preset)).collect()
}
