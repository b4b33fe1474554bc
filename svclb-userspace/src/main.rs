//! `svclb`: the agent and its commands.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
