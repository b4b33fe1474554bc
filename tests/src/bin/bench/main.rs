//! The benches of svclb: `cargo xtask bench`.

mod agent;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measure svclb on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The agent behind a real control plane: start, memory, processor time, latency, restart
    #[command(after_help = agent::METHOD)]
    Agent(agent::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().bench {
        Bench::Agent(options) => agent::run(&options),
    }
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
