//! svclb beside the real kube-proxy: each scenario is a test.
//!
//! All are driven once, with either proxy, when the first is asked for; that takes a minute.
//! `cargo test --test conformance -- refused` tells about some. Where the programs of the control
//! plane or kube-proxy are missing, all are skipped.

use std::{process::ExitCode, sync::OnceLock};

use libtest_mimic::{Failed, Trial};
use svclb_tests::{
    conformance::{self, Judged, scenarios},
    control_plane::Programs,
    suite,
};

fn main() -> ExitCode {
    suite::run(trials)
}

fn trials() -> Vec<Trial> {
    let missing = programs().err();
    if let Some(why) = &missing {
        println!("skipped: {why:#}");
    }
    let trial = |name: &'static str| Trial::test(name, || judge(name));
    let named = scenarios::all().map(|scenario| trial(scenario.name));
    named.map(|trial| trial.with_ignored_flag(missing.is_some())).collect()
}

fn programs() -> anyhow::Result<Programs> {
    let programs = Programs::find()?;
    programs.kube_proxy()?;
    Ok(programs)
}

fn judge(name: &str) -> Result<(), Failed> {
    static JUDGED: OnceLock<Result<Vec<Judged>, String>> = OnceLock::new();
    let run = || programs().and_then(conformance::run).map_err(|error| format!("{error:#}"));
    let judged = JUDGED.get_or_init(run).as_ref()?;
    let found = judged.iter().find(|judged| judged.scenario.name == name);
    let complaints = found.ok_or("no such scenario")?.complaints();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}
