//! Agents that are killed and started again.

use anyhow::{Context as _, Result, ensure};
use svclb_tests::{
    lab::{Node, command},
    traffic::{block_on, http::Connection, load::Load},
};

use crate::{
    Scenario,
    probe::Change,
    services::{Given, dual},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[("a_killed_agent_adopts_and_writes_only_the_difference", killed)];

/// How many services there are beside the one that matters: a difference is less than everything.
const BESIDE: usize = 10;

/// How many pods answer for the one that matters.
const PODS: u8 = 4;

/// What one endpoint less of a service of two families and two protocols takes at most: for each
/// a new range of slots, its service's entry, and the endpoint's own.
const DIFFERENCE: u64 = 4 * 3;

/// The maps whose entries an adopting agent must leave as they are.
const KEPT: &[&str] = &["names", "frontends4", "frontends6", "backends4", "backends6"];

fn killed(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("adopted", 0..PODS)?;
    for i in 0..BESIDE {
        world.put_service(&format!("beside-{i}"), &dual("ClusterIP", "beside", 80))?;
    }
    let (created, given) = Change::make("a service to adopt", "adopted", || {
        world.put_service("adopted", &dual("ClusterIP", "adopted", 80))
    })?;
    created.is_right(world, world.client()?, &given.at(80), &pods)?;

    unchanged(world, &given)?;
    changed(world, &given, &pods)?;

    (0..BESIDE).try_for_each(|i| world.delete_service(&format!("beside-{i}")))?;
    world.delete_service("adopted")?;
    world.stop_pods(&pods[1..])?;
    world.remove_pods(&pods);
    Ok(())
}

/// Connections, old and new, are answered before, between and after; the next agent writes nothing,
/// and entries stay as they are.
fn unchanged(world: &mut World, given: &Given) -> Result<()> {
    let load = Load::until_stopped(given.at(80)[0], 5).start(world.client()?)?;
    load.wait_for_more(50)?;
    let before = entries(world.lab.node(1))?;
    let agent = {
        let old = world.agents.remove(0);
        let world = &*world;
        let kept = async {
            let mut connection = Connection::open(given.at(80)[1], None).await?;
            let first = connection.who().await.context("before")?;
            old.kill()?;
            ensure!(connection.who().await.context("without the agent")? == first);
            let next = world.start_agent(1)?;
            ensure!(connection.who().await.context("with the next agent")? == first);
            Ok(next)
        };
        world.client()?.run(|| block_on(kept))?
    };
    world.agents.insert(0, agent);
    load.wait_for_more(50)?;
    load.stop()?.must_be_clean().context("connections around the restart")?;
    let written = world.lab.node(1).adoption()?;
    ensure!(written == 0, "{written} operations though nothing had changed");
    ensure!(entries(world.lab.node(1))? == before, "entries have changed");
    Ok(())
}

/// An endpoint goes while there is no agent; the next one writes that, and no more.
fn changed(world: &mut World, given: &Given, pods: &[String]) -> Result<()> {
    world.agents.remove(0).kill()?;
    world.stop_pods(&pods[..1])?;
    let (started, agent) =
        Change::make("an agent after a change", "adopted", || world.start_agent(1))?;
    world.agents.insert(0, agent);
    started.is_right(world, world.client()?, &given.at(80), &pods[1..])?;
    let written = world.lab.node(1).adoption()?;
    println!("adopted after SIGKILL, one endpoint less: {written} operations");
    ensure!((1..=DIFFERENCE).contains(&written), "{written} operations for one endpoint");
    Ok(())
}

/// The entries of the maps of a node.
fn entries(node: &Node) -> Result<Vec<String>> {
    let maps = node.bpffs().join("svclb/v1/maps");
    let dump = |map: &&str| {
        let path = maps.join(map).display().to_string();
        command::run("bpftool", &["map", "dump", "pinned", &path], "")
    };
    KEPT.iter().map(dump).collect()
}
