//! Changes of a Service and its pods: traffic is right within a second of each.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    Scenario,
    probe::Change,
    services::{dual, ports},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("scale_from_nothing_to_many_and_back", scale),
    ("a_service_comes_back_with_its_address", recreate),
    ("ports_change", change_ports),
    ("the_selector_changes", change_selector),
    ("the_type_changes", change_type),
    ("the_families_change", change_families),
];

/// A NodePort of the test's choice, for TCP and UDP.
const NODE_PORT: u16 = 30_111;

fn scale(world: &mut World) -> Result<()> {
    world.balance()?;
    let given = world.put_service("scaled", &dual("ClusterIP", "scaled", 80))?;
    let (many, pods) =
        Change::make("0 -> 20 endpoints", "scaled", || world.start_pods("scaled", 0..20))?;
    many.is_right(world, world.client()?, &given.at(80), &pods)?;
    let (few, ()) = Change::make("20 -> 3 endpoints", "scaled", || world.stop_pods(&pods[3..]))?;
    few.is_right(world, world.client()?, &given.at(80), &pods[..3])?;
    let (none, ()) = Change::make("3 -> 0 endpoints", "scaled", || world.stop_pods(&pods[..3]))?;
    none.is_right(world, world.client()?, &given.at(80), &[])?;
    world.remove_pods(&pods);
    world.delete_service("scaled")
}

fn recreate(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("again", 0..2)?;
    let given = world.put_service("again", &dual("ClusterIP", "again", 80))?;
    for _ in 0..3 {
        let (gone, ()) =
            Change::make("the service is deleted", "again", || world.delete_service("again"))?;
        gone.is_right(world, world.client()?, &given.at(80), &[])?;
        let mut spec = dual("ClusterIP", "again", 80);
        spec["clusterIP"] = json!(given.cluster[0]);
        spec["clusterIPs"] = json!(given.cluster);
        let (back, same) = Change::make("the service is created again", "again", || {
            world.put_service("again", &spec)
        })?;
        ensure!(same.cluster == given.cluster, "the API server gave other addresses");
        back.is_right(world, world.client()?, &given.at(80), &pods)?;
    }
    finish(world, "again", &pods)
}

fn change_ports(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("ported", 0..2)?;
    let given = world.put_service("ported", &dual("ClusterIP", "ported", 80))?;
    let mut spec = dual("ClusterIP", "ported", 80);
    spec["ports"] = ports(8080);
    let (moved, _) =
        Change::make("port 80 -> 8080", "ported", || world.put_service("ported", &spec))?;
    moved.is_right(world, world.client()?, &given.at(8080), &pods)?;
    moved.is_right(world, world.client()?, &given.at(80), &[])?;
    for port in [0, 1] {
        spec["ports"][port]["targetPort"] = json!("http-1");
    }
    spec["ports"][1]["targetPort"] = json!("echo-1");
    let (named, _) =
        Change::make("targetPort 8080 -> http-1", "ported", || world.put_service("ported", &spec))?;
    named.is_right(world, world.client()?, &given.at(8080), &pods)?;
    finish(world, "ported", &pods)
}

fn change_selector(world: &mut World) -> Result<()> {
    world.balance()?;
    let (blue, green) = (world.start_pods("blue", 0..2)?, world.start_pods("green", 0..2)?);
    let given = world.put_service("chosen", &dual("ClusterIP", "blue", 80))?;
    for (app, pods) in [("green", &green), ("blue", &blue)] {
        let (chosen, _) = Change::make("the selector changes", "chosen", || {
            world.put_service("chosen", &dual("ClusterIP", app, 80))
        })?;
        chosen.is_right(world, world.client()?, &given.at(80), pods)?;
    }
    finish(world, "chosen", &[blue, green].concat())
}

fn change_type(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("kinds", 0..2)?;
    let given = world.put_service("kinds", &dual("ClusterIP", "kinds", 80))?;
    let outside = world.nodes_at(NODE_PORT);
    for kind in ["NodePort", "LoadBalancer", "ClusterIP"] {
        let (mut spec, opened) = (dual(kind, "kinds", 80), kind != "ClusterIP");
        for port in [0, 1].into_iter().filter(|_| opened) {
            spec["ports"][port]["nodePort"] = json!(NODE_PORT);
        }
        let (changed, _) =
            Change::make("the type changes", "kinds", || world.put_service("kinds", &spec))?;
        let expected = if opened { &pods[..] } else { &[] };
        changed.is_right(world, world.lab.external().netns(), &outside, expected)?;
        changed.settles(world, world.client()?, &given.at(80), &pods)?;
    }
    finish(world, "kinds", &pods)
}

fn change_families(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("stacks", 0..2)?;
    let mut single = dual("ClusterIP", "stacks", 80);
    single["ipFamilyPolicy"] = json!("SingleStack");
    single["ipFamilies"] = json!(["IPv4"]);
    let given = world.put_service("stacks", &single)?;
    ensure!(given.cluster.len() == 1, "{:?} for one family", given.cluster);
    let (both, two) = Change::make("IPv4 -> IPv4 and IPv6", "stacks", || {
        world.put_service("stacks", &dual("ClusterIP", "stacks", 80))
    })?;
    ensure!(two.cluster.len() == 2, "{:?} for two families", two.cluster);
    both.is_right(world, world.client()?, &two.at(80), &pods)?;
    let (one, left) =
        Change::make("IPv4 and IPv6 -> IPv4", "stacks", || world.put_service("stacks", &single))?;
    one.is_right(world, world.client()?, &left.at(80), &pods)?;
    one.is_right(world, world.client()?, &two.at(80)[1..], &[])?;
    finish(world, "stacks", &pods)
}

fn finish(world: &mut World, service: &str, pods: &[String]) -> Result<()> {
    world.delete_service(service)?;
    world.stop_pods(pods)?;
    world.remove_pods(pods);
    Ok(())
}
