//! Every task of a developer as a documented verb: `cargo xtask <verb>`.

mod bench;
mod btf;
mod build;
mod build_ebpf;
mod cache;
mod conformance;
mod control_plane;
mod demo;
mod differential;
mod image;
mod kernels;
mod load;
mod paths;
#[cfg(test)]
mod readme;
mod setup;
mod shell;
mod soak;
mod test;
mod toolchain;
mod tools;
mod tree;
#[cfg(test)]
mod verbs;
mod verifier;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The developer's tasks of svclb.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or install what the other verbs need; does nothing where nothing is missing
    Setup,
    /// Build the kernel programs into target/ebpf/svclb.o
    BuildEbpf,
    /// Build the kernel programs, `svclb` and the programs of the lab
    Build(build::Options),
    /// Show svclb at work in a cluster's network on this machine, in about a minute
    Demo(demo::Options),
    /// Make a container image of the agent, without a container engine
    Image(image::Options),
    /// Put load on a Service or any address, and tell who answered how fast
    Load(shell::HandedOn),
    /// Measure svclb on this machine: `bench agent` behind a real control plane
    Bench(shell::HandedOn),
    /// Compare svclb with the real kube-proxy, and write docs/conformance.md
    Conformance,
    /// Compare the kernel programs with the model of the contract, packet by packet
    Differential(shell::HandedOn),
    /// Let svclb work for long while endpoints come and go, and write docs/soak.md
    Soak(shell::HandedOn),
    /// Boot other kernels in an emulator: do the programs load there, and does traffic flow?
    Kernels(kernels::Options),
    /// Print what the kernel's verifier makes of each program, beside docs/verifier.md
    Verifier(verifier::Options),
    /// Check format, lints and licences: `test` without the tests
    Lint,
    /// Set up, build, check format, lints and licences, and run all tests
    Test,
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that `Debug` adds: these are the user's errors, not ours.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Setup => setup::run(),
        Verb::BuildEbpf => build_ebpf::run(),
        Verb::Build(options) => build::run(&options),
        Verb::Demo(options) => demo::run(&options),
        Verb::Image(options) => image::run(&options),
        Verb::Load(options) => load::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Conformance => conformance::run(),
        Verb::Differential(options) => differential::run(&options),
        Verb::Soak(options) => soak::run(&options),
        Verb::Kernels(options) => kernels::run(&options),
        Verb::Verifier(options) => verifier::run(&options),
        Verb::Lint => test::lint(),
        Verb::Test => test::run(),
    }
}
