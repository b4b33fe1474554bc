//! svclb beside the real kube-proxy: `cargo xtask conformance`.

use std::process::ExitCode;

use anyhow::Result;
use svclb_tests::{
    conformance::{self, Judged, Verdict},
    control_plane::Programs,
};

fn main() -> Result<ExitCode> {
    let judged = conformance::run(Programs::find()?)?;
    judged.iter().for_each(print);
    let different = judged.iter().filter(|one| one.verdict() == Verdict::Different).count();
    println!("\n{} scenarios, {different} different from what is said of them", judged.len());
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(judged: &Judged) {
    let (scenario, verdict) = (judged.scenario, judged.verdict().name());
    println!("{:<5}{:<10}{}", scenario.row, verdict, scenario.name);
    println!(
        "               svclb: {}\n               kube-proxy: {}",
        judged.svclb, judged.kube_proxy
    );
    judged.complaints().iter().for_each(|text| println!("               ! {text}"));
}
