//! `deploy/` and the image, as a cluster uses them: kustomize, a real API server, a real containerd.
//!
//! What a machine lacks is told, and the tests that need it are skipped; in CI that is a failure.

mod base;
mod bench;
mod cluster;
mod container;
mod containerd;
mod kubelet;
mod kustomize;
mod load;
mod overlay;
mod token;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Failed, Trial};
use svclb_tests::{control_plane::Programs, suite};

/// A test by its name.
type Test = (&'static str, fn() -> Result<()>);

fn main() -> ExitCode {
    let cluster = || Programs::find().map(drop);
    suite::run(|| {
        let groups = [
            trials("base", base::TESTS, kustomize::kubectl().map(drop)),
            trials("container", container::TESTS, containerd::is_installed().and(cluster())),
            trials("cluster", cluster::TESTS, cluster()),
            trials("token", token::TESTS, cluster()),
            trials("load", load::TESTS, Ok(())),
            trials("bench", bench::TESTS, cluster()),
        ];
        groups.into_iter().flatten().collect()
    })
}

/// The tests of a group; skipped, with the reason, where it cannot be had here.
fn trials(group: &str, tests: &[Test], possible: Result<()>) -> Vec<Trial> {
    if let Err(why) = &possible {
        println!("{group}: skipped, {why:#}");
    }
    let trial = |(name, run): &Test| {
        let run = *run;
        Trial::test(format!("{group}::{name}"), move || {
            run().map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(possible.is_err())
    };
    tests.iter().map(trial).collect()
}
