//! The API server goes away, the cluster changes meanwhile, and it comes back.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use svclb_tests::{
    lab::{SOON, wait_for},
    traffic::load::{Load, Running},
};

use crate::{Scenario, probe::Change, services::dual, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("traffic_outlives_the_apiserver", outage),
    ("an_apiserver_that_streams_no_lists_is_followed", pages),
];

/// How long nodes do not reach the API server, unless said otherwise.
const OUTAGE: Duration = Duration::from_secs(5);

/// The machine's rules while the nodes are cut off from the API server, which works.
const CUT_OFF: &str = "table inet outage {
  chain input {
    type filter hook input priority 0;
    iifname eth0 tcp dport 6443 drop
  }
}
";

fn outage(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("steady", 0..4)?;
    let spec = dual("ClusterIP", "steady", 80);
    let (created, given) = Change::make("a service before the outage", "steady", || {
        world.put_service("steady", &spec)
    })?;
    created.is_right(world, world.client()?, &given.at(80), &pods)?;

    let listed = lists(world)?;
    let load = Load::until_stopped(given.at(80)[0], 5).start(world.client()?)?;
    let began = Instant::now();
    world.cluster.kill_apiserver()?;
    // It comes back for those who change the cluster first, and for the nodes later.
    world.cluster.station().netns().nft(CUT_OFF)?;
    world.cluster.start_apiserver()?;
    // Who is told to end serves its connections on.
    world.end_pods(&pods[..2])?;
    let more = world.start_pods("steady", 4..6)?;
    goes_on(&load, began + length()?)?;
    let (back, ()) = Change::make("the API server is back", "steady", || {
        world.cluster.station().netns().nft("delete table inet outage\n")
    })?;
    let now = [&pods[2..], &more].concat();
    back.settles(world, world.client()?, &given.at(80), &now)?;
    load.stop()?.must_be_clean().context("connections during the outage")?;
    // A server that has started anew knows nothing of the time before: the agent's place in the
    // history is too old, and it has taken a new list.
    wait_for("a new list", SOON, || (lists(world).ok()? > listed).then_some(()))?;

    world.delete_service("steady")?;
    let all = [pods, more].concat();
    world.stop_pods(&all)?;
    world.remove_pods(&all);
    Ok(())
}

/// A server that answers lists in pages only, as those before Kubernetes 1.34 do.
fn pages(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("paged", 0..2)?;
    world.cluster.kill_apiserver()?;
    world.cluster.start_apiserver_with(&["--feature-gates=WatchList=false"])?;
    // An agent that begins with it, and one that was there before.
    world.agents.remove(0).terminate()?;
    let agent = world.start_agent(1)?;
    world.agents.insert(0, agent);
    let (created, given) = Change::make("a service of paged lists", "paged", || {
        world.put_service("paged", &dual("NodePort", "paged", 80))
    })?;
    created.settles(world, world.client()?, &given.at(80), &pods)?;
    let targets = world.nodes_at(*given.node_ports.first().context("no NodePort")?);
    created.settles(world, world.lab.external().netns(), &targets, &pods)?;
    world.cluster.kill_apiserver()?;
    world.cluster.start_apiserver()?;

    world.delete_service("paged")?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}

/// How many complete lists of Services the agent of node 1 has had.
fn lists(world: &World) -> Result<f64> {
    let of = [("resource", "services")];
    world.lab.node(1).metrics()?.one("svclb_watch_lists_total", &of)
}

fn length() -> Result<Duration> {
    match env::var("SVCLB_TEST_OUTAGE") {
        Err(_) => Ok(OUTAGE),
        Ok(seconds) => {
            seconds.parse().map(Duration::from_secs).context("SVCLB_TEST_OUTAGE: seconds")
        }
    }
}

/// Connections are made and answered at least until then.
fn goes_on(load: &Running, end: Instant) -> Result<()> {
    loop {
        load.wait_for_more(50)?;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}
