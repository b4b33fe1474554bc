//! Traffic for long, and then nothing left: `cargo xtask soak`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use svclb_tests::{
    lab, machine,
    soak::{self, Kind, Options},
};

/// Let svclb work for long while endpoints come and go, and see that nothing goes wrong or is left
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// Changes of endpoints a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=500))]
    changes: u32,
    /// Traffic to leave out, several with commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    without: Vec<Kind>,
    /// Which endpoints change follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the page about it here, if nothing is wrong
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let Arguments { minutes, changes, without, seed, write } = Arguments::parse();
    lab::must_be_root()?;
    let kinds = Kind::ALL.into_iter().filter(|kind| !without.contains(kind)).collect();
    let options = Options { time: Duration::from_secs(60 * minutes), changes, kinds, seed };
    let report = soak::run(&options)?;
    println!("{report}");
    let complaints = report.complaints();
    complaints.iter().for_each(|complaint| println!("! {complaint}"));
    if !complaints.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(path) = write {
        fs::write(&path, report.page(&options, &machine()?))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What it ran on.
fn machine() -> Result<String> {
    Ok(format!("{}, Linux {}.", machine::processors()?, machine::kernel()?))
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
