//! A soak: traffic of every kind for long, while endpoints come and go, and then nothing left.

mod churn;
mod client;
mod left;
mod memory;
mod message;
mod pods;
mod report;
mod server;
mod tally;
mod world;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use svclb::pins::Pins;
use svclb_common::outcome::{self, Outcome};

pub use report::Report;
pub use tally::Kind;

use crate::{
    lab::{Agent, Family, Node},
    memory::{Resident, of_maps},
};
use churn::Churn;
use client::{Client, Shared};
use left::Left;
use memory::Samples;
use tally::Tally;
use world::World;

/// Service ports of each Service: two that are served, and one where nobody listens.
const PORTS: usize = 3;

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long there is traffic.
    pub time: Duration,
    /// Changes of endpoints a second.
    pub changes: u32,
    /// Which traffic.
    pub kinds: Vec<Kind>,
    /// Which endpoints change follows from it.
    pub seed: u64,
}

impl Options {
    /// What was asked for, in a line.
    fn line(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        let Self { changes, seed, .. } = self;
        let (minutes, kinds) = (self.time.as_secs_f64() / 60.0, kinds.join(", "));
        format!("{minutes} minutes, {changes} changes a second, seed {seed}: {kinds}.\n")
    }
}

/// Runs it.
///
/// # Errors
/// The lab cannot be built, an agent ends, or does not tell what it knows. What the traffic shows
/// is in the report.
pub fn run(options: &Options) -> Result<Report> {
    let tally = Arc::<Tally>::default();
    let mut churn = Churn::new(world::PODS, options.seed);
    let mut world = World::build(&tally, &churn)?;
    let shared = Shared::new(tally.clone(), world.pods);
    let before = maps(&world)?;
    let clients = start(&world, options, &shared)?;
    let (changes, samples) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(&world.agents, &shared));
        let changes = churn.run(&world, (options.changes, options.time), &shared);
        shared.stop();
        Ok::<_, anyhow::Error>((changes?, sampler.join().map_err(|_| anyhow!("the sampler"))?))
    })?;
    clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client")))?;
    world.agents.iter_mut().try_for_each(Agent::must_run)?;
    let mut report = Report {
        counts: tally.counts(),
        changes,
        agents: samples.iter().map(Samples::growth).collect(),
        backends: 2 * PORTS * churn.endpoints(),
        ..Report::default()
    };
    conclude(&world, &mut report, &before)?;
    Ok(report)
}

/// Every kind of traffic, from every place, in both families.
fn start(world: &World, options: &Options, shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>> {
    let mut clients = Vec::new();
    for place in world.places()? {
        for family in Family::BOTH {
            for kind in &options.kinds {
                let (targets, nobody) = (place.targets(family), place.nobody(family));
                let shared = shared.clone();
                let (kind, place_name) = (*kind, place.name);
                let client = Client { kind, place: place_name, family, targets, nobody, shared };
                clients.push(client.start(place.netns)?);
            }
        }
    }
    Ok(clients)
}

/// Resident memory of each agent, once a second.
fn sample(agents: &[Agent], shared: &Shared) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); agents.len()];
    while !shared.is_stopped() {
        for (samples, agent) in samples.iter_mut().zip(agents) {
            // One that has ended is found out by who waits for it.
            samples.0.extend(Resident::of(agent.id()).map(|memory| memory.all));
        }
        thread::park_timeout(Duration::from_secs(1));
    }
    samples
}

/// What is left when it is over.
fn conclude(world: &World, report: &mut Report, before: &[u64]) -> Result<()> {
    for node in &world.lab.nodes {
        report.left.push(Left::at_last(node, report.backends)?);
        let changes = "kubeproxy_sync_proxy_rules_endpoint_changes_total";
        report.noticed.push(node.metrics()?.one(changes, &[])? as u64);
        count_outcomes(node, report)?;
        let log = node.agent_log(usize::MAX);
        let bad = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        report.logged.extend(log.lines().filter(bad).take(5).map(str::to_owned));
    }
    report.maps = before.iter().copied().zip(maps(world)?).collect();
    Ok(())
}

fn count_outcomes(node: &Node, report: &mut Report) -> Result<()> {
    for (name, count) in node.outcomes()? {
        let found = Outcome::ALL.iter().find(|outcome| outcome.name() == name);
        let kind = found.with_context(|| format!("no outcome {name}"))?.kind();
        if count > 0 && matches!(kind, outcome::Kind::Dropped | outcome::Kind::Refused) {
            *report.outcomes.entry(name).or_default() += count;
        }
    }
    Ok(())
}

/// Bytes of each node's maps.
fn maps(world: &World) -> Result<Vec<u64>> {
    let of = |node: &Node| {
        let (flows, others) = of_maps(&Pins::on(node.bpffs())?)?;
        Ok(flows + others)
    };
    world.lab.nodes.iter().map(of).collect()
}
