//! The long run of the kernel programs against the model.
//!
//! `cargo xtask differential` builds everything and runs this.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use svclb_tests::{differential, lab};

#[derive(Parser)]
#[command(name = "cargo xtask differential", bin_name = "cargo xtask differential")]
struct Arguments {
    /// How many packets
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// Where random tables and packets begin; the same seed is the same run
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { packets, seed } = Arguments::parse();
    let start = Instant::now();
    let run = lab::must_be_root().and_then(|()| differential::run(seed, packets));
    match run {
        Ok(tally) => {
            println!("seed {seed}: {} packets, {} changes", tally.packets, tally.changes);
            println!("took {:.0} s, no difference", start.elapsed().as_secs_f64());
            for (outcome, count) in tally.outcomes {
                println!("{outcome:24} {count:10}");
            }
            ExitCode::SUCCESS
        }
        Err(difference) => {
            eprintln!("{difference:#}");
            ExitCode::FAILURE
        }
    }
}
