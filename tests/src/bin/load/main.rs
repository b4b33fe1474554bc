//! The lab's traffic generator for any cluster: `cargo xtask load`.

mod ask;
mod backend;
mod output;
mod target;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Parser;
use svclb_tests::traffic::generator::{Control, Schedule};

use ask::Asker;
use backend::Naming;
use output::{Format, Summary};
use target::Target;

const EXAMPLES: &str = "\
Examples:
  cargo xtask load http://192.0.2.1:30080/ --rate 500 --duration 30s
  cargo xtask load http://shop.example/hostname --connections 10000 --backend header:x-pod
  cargo xtask load udp://192.0.2.1:30053 --payload hostname -o json

A connection is asked --requests times. Latency counts from the moment a connection is begun, so
its first request includes connecting. The exit code is 1 if anything failed.";

/// Put load on a Service or any address, and tell who answered how fast.
#[derive(Parser)]
#[command(name = "cargo xtask load", after_help = EXAMPLES)]
struct Arguments {
    #[arg(help = "http://HOST[:PORT][/PATH], tcp://HOST:PORT or udp://HOST:PORT")]
    target: Target,
    /// Connections (for UDP: sockets) in all [default: as many as go in --duration]
    #[arg(short = 'n', long, value_name = "N")]
    connections: Option<u64>,
    /// Connections at a time
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    concurrency: usize,
    /// New connections a second, at most [default: as many as go]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// No new connection begins after this time [default: 10s without --connections]
    #[arg(short, long, value_name = "TIME", value_parser = target::duration)]
    duration: Option<Duration>,
    /// Requests on each connection
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    requests: u32,
    /// What TCP and UDP send as a request
    #[arg(long, value_name = "TEXT", default_value = "hostname\n")]
    payload: String,
    /// Where an answer names its backend: `line` (its first line), `json:FIELD`, `header:NAME`
    #[arg(long, value_name = "WHERE", default_value = "line")]
    backend: Naming,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

impl Arguments {
    fn schedule(&self) -> Schedule {
        const UNLESS_COUNTED: Duration = Duration::from_secs(10);
        Schedule {
            connections: self.connections.unwrap_or(u64::MAX),
            concurrency: self.concurrency,
            rate: self.rate,
            duration: self.duration.or(self.connections.is_none().then_some(UNLESS_COUNTED)),
        }
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let schedule = arguments.schedule();
    let asker = Asker {
        address: arguments.target.resolve()?,
        target: arguments.target,
        requests: arguments.requests,
        payload: arguments.payload.into_bytes(),
        naming: arguments.backend,
    };
    let summary = Summary::of(asker.address, || {
        schedule.run(&Arc::<Control>::default(), async move |_, report: &mut _| {
            asker.connection(report).await
        })
    })?;
    summary.print(arguments.output)?;
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_count_needs_no_time() {
        let schedule = |arguments: &[&str]| {
            let all = [&["load", "tcp://192.0.2.1:80"], arguments].concat();
            Arguments::try_parse_from(all).unwrap().schedule()
        };
        assert_eq!(schedule(&["-n", "5"]).duration, None);
        assert_eq!(schedule(&[]).duration, Some(Duration::from_secs(10)));
        assert_eq!(schedule(&["-n", "5", "-d", "2s"]).duration, Some(Duration::from_secs(2)));
    }
}
