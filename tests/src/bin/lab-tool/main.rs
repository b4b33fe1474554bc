//! The lab's programs: what pods run, and clients to play with by hand.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use svclb_tests::traffic::{
    PATIENCE, block_on,
    load::Load,
    peer::{self, How},
    probe::{self, Protocol},
    server,
    wait::{self, Wait},
};

/// The lab's programs.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP and echo UDP, each answer with a name.
    Serve {
        /// The name that answers carry.
        #[arg(long)]
        name: String,
        /// Addresses with ports; TCP and UDP are served at each.
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
    },
    /// Open HTTP connections and print who answered, as JSON.
    Http(Target),
    /// Open UDP sockets and print who answered, as JSON.
    Udp(Target),
    /// Ask each address once and print who answered from where, as JSON.
    Ask {
        /// How to ask.
        #[arg(value_enum)]
        how: How,
        /// Ask all of them this many times.
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        /// Milliseconds before each question.
        #[arg(long, default_value_t = 0)]
        pause: u64,
        /// Milliseconds to wait for each answer.
        #[arg(long, default_value_t = PATIENCE.as_millis() as u64)]
        patience: u64,
        /// Addresses with ports, one after the other.
        #[arg(required = true)]
        to: Vec<SocketAddr>,
    },
    /// Ask an address again and again, each time from a new socket, until it does not answer, and
    /// print what came of it, as JSON.
    Probe {
        /// How to ask.
        #[arg(value_enum)]
        protocol: Protocol,
        /// How often at most.
        #[arg(long, default_value_t = 1)]
        tries: usize,
        /// Address and port.
        to: SocketAddr,
    },
    /// Wait for an address to say something, and print the error that this ends with.
    Wait(Waiting),
}

#[derive(Args)]
struct Waiting {
    /// What to wait in.
    #[arg(value_enum)]
    how: Wait,
    /// Milliseconds to wait.
    #[arg(long, default_value_t = PATIENCE.as_millis() as u64)]
    patience: u64,
    /// Address and port.
    to: SocketAddr,
}

#[derive(Args)]
struct Target {
    /// Address and port to ask.
    to: SocketAddr,
    /// How many connections in all.
    #[arg(short = 'n', long, default_value_t = 1)]
    connections: u64,
    /// How many at a time.
    #[arg(short, long, default_value_t = 8)]
    concurrency: usize,
    /// Requests on each connection.
    #[arg(short, long, default_value_t = 1)]
    requests: u32,
    /// New connections a second, at most.
    #[arg(long)]
    rate: Option<u32>,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Serve { name, listen } => block_on(server::serve(name, &listen)),
        Command::Http(target) => report(&target, false),
        Command::Udp(target) => report(&target, true),
        Command::Ask { how, rounds, pause, patience, to } => {
            let [pause, patience] = [pause, patience].map(Duration::from_millis);
            let told = peer::ask(how, &to.repeat(rounds), pause, patience)?;
            println!("{}", serde_json::to_string(&told)?);
            Ok(())
        }
        Command::Wait(Waiting { how, patience, to }) => {
            println!("{}", wait::wait(how, to, Duration::from_millis(patience))?);
            Ok(())
        }
        Command::Probe { protocol, tries, to } => {
            println!("{}", serde_json::to_string(&probe::ask(protocol, to, tries)?)?);
            Ok(())
        }
    }
}

fn report(target: &Target, udp: bool) -> Result<()> {
    let Target { to, connections, concurrency, requests, rate } = *target;
    let report =
        Load { dst: to, udp, connections, concurrency, requests, rate, source: None }.run()?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
