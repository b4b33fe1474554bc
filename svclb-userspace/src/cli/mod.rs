//! The command line: one file a command.

mod check;
mod completions;
mod config;
mod explain;
mod get;
mod mount_bpffs;
mod output;
mod run;
mod unload;

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::{Error, Result};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use svclb::{
    config::Conflict,
    pins::{DEFAULT_BPFFS, Pins},
};

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the command failed, or `check` found something that svclb cannot work with
  2  wrong usage
  3  svclb is not loaded on this bpffs";

/// A service load balancer for Kubernetes that works in the kernel.
#[derive(Parser, Debug)]
#[command(version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Keep this node's kernel equal to the cluster.
    Run(Box<run::Run>),
    /// Show what the kernel holds; works without the agent.
    Get(get::Get),
    /// Tell who answers a client, and why, from the objects; needs no agent.
    Explain(Box<explain::Explain>),
    /// Tell whether this node is fit for svclb.
    Check(check::Check),
    /// Take svclb out of the kernel: its programs and everything pinned.
    Unload(unload::Unload),
    /// Mount a bpffs, unless one is there; the agent pins what outlives it there.
    MountBpffs(mount_bpffs::MountBpffs),
    /// Show or check the agent's configuration.
    #[command(subcommand)]
    Config(config::Config),
    /// Print a shell completion script.
    Completions(completions::Completions),
}

/// Where svclb is pinned.
#[derive(Args, Debug)]
struct Bpffs {
    /// Where bpffs is mounted.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
}

impl Bpffs {
    /// The pins, which may not exist yet.
    fn pins(&self) -> Result<Pins> {
        Pins::on(&self.bpffs)
    }

    /// The pins of a loaded svclb.
    fn loaded(&self) -> Result<Pins> {
        let pins = self.pins()?;
        if pins.exist() { Ok(pins) } else { Err(NotLoaded(pins).into()) }
    }
}

/// Nothing of svclb is pinned.
#[derive(Debug, thiserror::Error)]
#[error("svclb is not loaded: {} does not exist; `svclb run` loads it", .0.root().display())]
struct NotLoaded(Pins);

/// The command line and the configuration file do not say enough.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(&'static str);

/// What a command that ran to its end says to scripts.
enum Verdict {
    /// All is well.
    Success,
    /// It worked, and what it looked at is not well.
    Unfit,
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let result = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Get(get) => get.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Check(check) => check.execute(),
        Command::Unload(unload) => unload.execute(),
        Command::MountBpffs(mount_bpffs) => mount_bpffs.execute(),
        Command::Config(config) => config.execute(),
        Command::Completions(completions) => completions.execute(),
    };
    match result {
        Ok(Verdict::Success) => ExitCode::SUCCESS,
        Ok(Verdict::Unfit) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("svclb: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

/// The command line, its defaults in its help.
fn command() -> clap::Command {
    let show =
        |command| svclb::config::show_defaults(command).expect("defaults are texts and numbers");
    let print = |command: clap::Command| command.mut_subcommand("print", show);
    Cli::command()
        .mut_subcommand("run", show)
        .mut_subcommand("explain", show)
        .mut_subcommand("config", print)
}

fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches()?)
}

/// The exit code of an error.
fn code(error: &Error) -> u8 {
    if error.is::<NotLoaded>() {
        3
    } else if error.is::<Usage>() || error.is::<Conflict>() {
        2
    } else {
        1
    }
}

/// Whether the reader of our output has gone, as `head` does.
fn is_broken_pipe(error: &Error) -> bool {
    let io_error = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let broken = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&broken.context("write the table")));
        assert!(!is_broken_pipe(&Error::msg("something else")));
    }
}
