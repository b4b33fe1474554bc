//! svclb beside the real kube-proxy: `cargo xtask conformance`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use svclb_tests::{
    conformance::{self, Judged, Verdict, document},
    control_plane::Programs,
    lab,
};

/// Drive svclb and the real kube-proxy through the same scenarios, and compare.
#[derive(Parser)]
#[command(name = "cargo xtask conformance", bin_name = "cargo xtask conformance")]
struct Arguments {
    /// Write the page about it here, if all is as the scenarios say
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    lab::must_be_root()?;
    let judged = conformance::run(Programs::find()?)?;
    judged.iter().for_each(print);
    let different = judged.iter().filter(|one| one.verdict() == Verdict::Different).count();
    println!("\n{} scenarios, {different} not as is said of them", judged.len());
    if different > 0 {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(path) = arguments.write {
        fs::write(&path, document::render())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(judged: &Judged) {
    let (scenario, verdict) = (judged.scenario, judged.verdict().name());
    println!("{:<5}{:<10}{}", scenario.row, verdict, scenario.name);
    println!("{:15}svclb: {}", "", judged.svclb);
    println!("{:15}kube-proxy: {}", "", judged.kube_proxy);
    judged.complaints().iter().for_each(|text| println!("{:15}! {text}", ""));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
