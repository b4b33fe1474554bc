//! The kernel programs against the model: random tables and packets, each step compared.
//!
//! A run is a number of scripts; each starts with programs without any flow. What differs is shown
//! with the seed that leads there, and with the shortest script found that still does.

mod error_frame;
mod frame;
mod judge;
mod kernel;
mod random_packets;
mod random_tables;
mod script;
mod shrink;
mod world;

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

pub use judge::{Came, Pair};
pub use script::{Shape, Shot, Step};

use crate::lab::Netns;
use random_packets::Traffic;
use world::MASQUERADE_PORTS;

/// How many packets a script has: so few that the search for a flow's record never meets an old one.
const SCRIPT: u64 = 20_000;
/// How many packets there are for one change of the tables.
const PACKETS_PER_CHANGE: u32 = 25;

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets on which both sides agreed.
    pub packets: u64,
    /// Changes of the tables.
    pub changes: u64,
    /// What was counted, by name.
    pub outcomes: BTreeMap<&'static str, u64>,
}

/// Runs so many packets from a seed, in a network namespace of its own.
///
/// # Errors
/// The kernel and the model differ: the message shows the shortest script found. Or nothing can be
/// run here, for instance without root.
pub fn run(seed: u64, packets: u64) -> Result<Tally> {
    in_namespace(|| {
        let mut tally = Tally::default();
        let mut script_seed = seed;
        while tally.packets < packets {
            let left = SCRIPT.min(packets - tally.packets);
            script(script_seed, left, &mut tally)?;
            script_seed = script_seed.wrapping_add(1);
        }
        Ok(tally)
    })
}

/// Runs a script that is given; the message of the first difference, if there is one.
///
/// # Errors
/// Nothing can be run here.
pub fn replay(steps: &[Step]) -> Result<Option<String>> {
    let mut pair = Pair::new(MASQUERADE_PORTS, 0)?;
    for (number, step) in steps.iter().enumerate() {
        if let Came::Differ(message) = pair.step(step)? {
            return Ok(Some(format!("step {number}: {message}")));
        }
    }
    Ok(None)
}

/// Calls `f` where the devices of scripts are, on one CPU: a packet passes its hooks on one.
///
/// # Errors
/// No network namespace can be made, or `f` fails.
pub fn in_namespace<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let name = format!("svclb-{}-0-differential", std::process::id());
    let devices = Netns::create(&name)?;
    devices.ip("link add clients index 2 type veth peer name endpoints index 3")?;
    devices.run(|| {
        let mut cpus = CpuSet::new();
        cpus.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("to stay on one CPU")?;
        f()
    })
}

/// Runs one script.
fn script(seed: u64, packets: u64, tally: &mut Tally) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let mut tables = random_tables::tables(&mut rng);
    let mut traffic = Traffic::default();
    let mut steps = vec![Step::Change(Box::new(tables.clone()))];
    let mut pair = Pair::new(MASQUERADE_PORTS, 0)?;
    pair.step(&steps[0])?;
    let end = tally.packets + packets;
    while tally.packets < end {
        let step = if rng.u32(0..PACKETS_PER_CHANGE) == 0 {
            tally.changes += 1;
            random_tables::change(&mut rng, &mut tables);
            Step::Change(Box::new(tables.clone()))
        } else {
            tally.packets += 1;
            Step::Packet(traffic.next(&mut rng, &tables))
        };
        let came = pair.step(&step)?;
        steps.push(step);
        let (after, counted) = match came {
            Came::Agreed(after, counted) => (after, counted),
            Came::Differ(message) => bail!(report(seed, steps, &message)?),
        };
        for outcome in counted {
            *tally.outcomes.entry(outcome.name()).or_default() += 1;
        }
        if let Some(Step::Packet(shot)) = steps.last() {
            traffic.remember(shot, after);
        }
    }
    Ok(())
}

/// What is printed of a difference.
fn report(seed: u64, steps: Vec<Step>, message: &str) -> Result<String> {
    let number = steps.len();
    eprintln!("seed {seed}, step {number}: {message}\nlooking for a shorter script ...");
    let (steps, shortest) = shrink::shrink(steps)?;
    let mut text = format!("seed {seed}, step {number}: {message}\n");
    writeln!(text, "the shortest script found, of {} steps:", steps.len())?;
    for (number, step) in steps.iter().enumerate() {
        writeln!(text, "{number}: {step}")?;
    }
    writeln!(text, "{}", shortest.as_deref().unwrap_or("(does not differ when run again)"))?;
    Ok(text)
}
