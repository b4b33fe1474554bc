//! What the agents tell of the cluster that they follow.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use svclb_tests::{
    exposition::Exposition,
    lab::{Agent, HEALTH, Node, SOON, wait_for},
};

use crate::{
    Scenario,
    probe::Change,
    services::{dual, ports},
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("metrics_say_how_the_watches_stand", watched),
    ("programming_is_measured_from_what_the_controller_followed", measured),
    ("an_owner_is_told_once_what_is_wrong", told_once),
    ("readiness_says_that_the_api_server_is_away", away),
    ("a_dead_api_server_is_left_for_the_next", failover),
];

/// What is watched.
const RESOURCES: [&str; 4] = ["services", "endpointslices", "nodes", "servicecidrs"];

fn watched(world: &mut World) -> Result<()> {
    world.balance()?;
    let metrics = world.lab.node(1).metrics()?;
    for resource in RESOURCES {
        let one = |name| metrics.one(name, &[("resource", resource)]);
        ensure!(one("svclb_watch_connected")? > 0.0, "{resource}: not connected");
        ensure!(one("svclb_watch_lists_total")? > 0.0, "{resource}: never listed");
        ensure!(one("svclb_watch_granted_timestamp_seconds")? > 1.7e9, "{resource}: when?");
        // It is there before anything has failed.
        one("svclb_watch_failures_total")?;
    }
    Ok(())
}

fn measured(world: &mut World) -> Result<()> {
    const COUNT: &str = "kubeproxy_network_programming_duration_seconds_count";
    const SUM: &str = "kubeproxy_network_programming_duration_seconds_sum";
    world.balance()?;
    let before = world.lab.node(1).metrics()?;
    let (created, given) = Change::make("a service to be measured", "measured", || {
        world.put_service("measured", &dual("ClusterIP", "measured", 80))
    })?;
    let pods = world.start_pods("measured", 0..2)?;
    created.settles(world, world.client()?, &given.at(80), &pods)?;
    let grown = |metrics: &Exposition, name| metrics.sum(name, &[]) - before.sum(name, &[]);
    let after = wait_for("a measurement", SOON, || {
        let metrics = world.lab.node(1).metrics().ok()?;
        (grown(&metrics, COUNT) > 0.0).then_some(metrics)
    })?;
    let mean = grown(&after, SUM) / grown(&after, COUNT);
    println!("pod's change to maps: {:.0} ms in the mean", mean * 1000.0);
    // The annotation of the controller has whole seconds only.
    ensure!((0.0..5.0).contains(&mean), "{mean} s from a pod's change to the maps");
    world.delete_service("measured")?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}

/// Both nodes' agents find the same thing wrong, twice; one Event says so.
fn told_once(world: &mut World) -> Result<()> {
    world.balance()?;
    let spec = |external: &[&str]| {
        json!({
            "type": "ClusterIP",
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": ["IPv4"],
            "selector": { "app": "none" },
            "ports": ports(PORT),
            "externalIPs": external,
        })
    };
    world.put_service("unserved", &spec(&["2001:db8:77::1"]))?;
    let both = world.lab.nodes.iter().map(|node| {
        wait_for("an Event to be dealt with", SOON, || (tried(node) >= 1.0).then_some(()))
            .with_context(|| node.agent_log(10))
    });
    both.collect::<Result<()>>()?;
    // Another address is another problem with the same reason: both agents hear of it.
    world.put_service("unserved", &spec(&["2001:db8:77::1", "2001:db8:77::2"]))?;
    for node in &world.lab.nodes {
        wait_for("the second problem", SOON, || {
            node.agent_log(usize::MAX).contains("2001:db8:77::2").then_some(())
        })?;
    }
    let events = events(world, "unserved")?;
    ensure!(events.len() == 1, "{} Events: {events:?}", events.len());
    let event = &events[0];
    ensure!(event["reason"] == "NotServed" && event["type"] == "Warning", "{event}");
    let note = event["note"].as_str().context("no note")?;
    ensure!(note.contains("spec.externalIPs: not served at 2001:db8:77::1"), "{note}");
    let described = world.cluster.kubectl(&["describe", "service", "unserved"], "")?;
    ensure!(described.contains("not served at 2001:db8:77::1"), "{described}");
    world.delete_service("unserved")
}

/// How many Events an agent has written or found there.
fn tried(node: &Node) -> f64 {
    const EVENTS: &str = "svclb_kubernetes_events_total";
    let Ok(metrics) = node.metrics() else { return 0.0 };
    ["written", "known"].iter().map(|result| metrics.sum(EVENTS, &[("result", result)])).sum()
}

/// The Events about a Service.
fn events(world: &World, service: &str) -> Result<Vec<Value>> {
    let list = world.api().get("/apis/events.k8s.io/v1/namespaces/default/events")?;
    let all = list["items"].as_array().into_iter().flatten();
    let about = |event: &&Value| {
        event["regarding"]["kind"] == "Service" && event["regarding"]["name"] == service
    };
    Ok(all.filter(about).cloned().collect())
}

fn away(world: &mut World) -> Result<()> {
    world.balance()?;
    let readyz = |world: &World, status| {
        wait_for(&format!("/readyz to say {status}"), SOON, || {
            let (code, body) = world.lab.node(1).get(HEALTH, "/readyz").ok()?;
            (code == status).then_some(body)
        })
    };
    readyz(world, 200)?;
    world.cluster.kill_apiserver()?;
    let said = readyz(world, 503)?;
    ensure!(said.contains("not followed, the last state serves"), "{said}");
    let livez = world.lab.node(1).get(HEALTH, "/livez")?;
    ensure!(livez.0 == 200, "a new agent would help nobody: {livez:?}");
    let metrics = world.lab.node(1).metrics()?;
    ensure!(metrics.sum("svclb_watch_failures_total", &[]) > 0.0, "no failure is counted");
    ensure!(metrics.sum("svclb_watch_connected", &[]) < 3.0, "all watches are said to stand");
    world.cluster.start_apiserver()?;
    readyz(world, 200)?;
    let metrics = world.lab.node(1).metrics()?;
    ensure!(metrics.sum("svclb_watch_connected", &[]) > 2.0, "not all watches stand again");
    Ok(())
}

/// The first server of two does not answer.
fn failover(world: &mut World) -> Result<()> {
    world.balance()?;
    let alive = world.cluster.server();
    // Nobody listens there, and the address answers that.
    let dead = alive.replace(":6443", ":1");
    world.agents.remove(0).terminate()?;
    let servers = format!("{dead},{alive}");
    let kubeconfig = world.cluster.kubeconfig();
    let agent = Agent::follow_cluster(world.lab.node(1), kubeconfig, &["--api-servers", &servers])?;
    let log = world.lab.node(1).agent_log(usize::MAX);
    ensure!(log.contains("another API server"), "{log}");
    agent.terminate()?;
    let usual = world.start_agent(1)?;
    world.agents.insert(0, usual);
    Ok(())
}
