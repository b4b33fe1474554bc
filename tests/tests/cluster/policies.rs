//! Policies, addresses and conditions by objects of the API, end to end.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use svclb_tests::{
    lab::{Family, Netns},
    traffic::{http, load::Load},
};

use crate::{Scenario, probe::Change, services::dual, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("external_traffic_policy_changes_under_load", policy_changes),
    ("load_balancer_status_is_served", balancer_status),
    ("terminating_pods_serve_where_nobody_else_may", terminating),
    ("traffic_distribution_by_the_controllers_hints", distribution),
];

/// Where a load balancer announces itself; the router hands its packets to node 1.
const VIPS: [&str; 2] = ["203.0.113.9", "2001:db8:5::9"];

impl World {
    /// Every address of the first node with a port.
    fn first_node_at(&self, port: u16) -> Vec<SocketAddr> {
        let ip = self.lab.node(1).ip;
        Family::BOTH.map(|family| ip.socket(family, port)).into()
    }

    /// Puts the Service, and waits until exactly `pods` answer in `netns` at `targets`.
    fn put_and_settle(
        &self,
        what: &'static str,
        name: &'static str,
        spec: &Value,
        netns: &Netns,
        (targets, pods): (&[SocketAddr], &[String]),
    ) -> Result<()> {
        let (change, _) = Change::make(what, name, || self.put_service(name, spec))?;
        change.settles(self, netns, targets, pods).map(drop)
    }
}

/// Clients of the node that has an endpoint lose nothing, whatever the policy becomes.
fn policy_changes(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("policed", 0..2)?;
    let mut spec = dual("NodePort", "policed", 80);
    let given = world.put_service("policed", &spec)?;
    let at = world.first_node_at(given.node_ports[0]);
    let outside = world.lab.external().netns();
    world.put_and_settle("created", "policed", &spec, outside, (&at, &pods))?;
    let loads = at.iter().map(|dst| Load::until_stopped(*dst, 1).start(outside));
    let loads = loads.collect::<Result<Vec<_>>>()?;
    for policy in ["Local", "Cluster", "Local", "Cluster"] {
        spec["externalTrafficPolicy"] = json!(policy);
        let answering = if policy == "Local" { &pods[..1] } else { &pods[..] };
        world.put_and_settle("policy", "policed", &spec, outside, (&at, answering))?;
        loads.iter().try_for_each(|load| load.wait_for_more(100))?;
    }
    loads.into_iter().try_for_each(|load| load.stop()?.must_be_clean())?;
    world.delete_service("policed")?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}

fn balancer_status(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("announced", 0..2)?;
    let spec = dual("LoadBalancer", "announced", 80);
    world.put_service("announced", &spec)?;
    let targets = VIPS.map(|ip| SocketAddr::new(ip.parse().expect("an address"), 80));
    let announce = |mode: &str| {
        let ingress = VIPS.map(|ip| json!({ "ip": ip, "ipMode": mode }));
        let status = json!({ "loadBalancer": { "ingress": ingress } });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "announced" },
            "spec": spec, "status": status,
        });
        world.api().apply(&service.to_string())
    };
    for _ in 0..2 {
        let (served, ()) = Change::make("the balancer announces", "announced", || announce("VIP"))?;
        served.settles(world, world.client()?, &targets, &pods)?;
        let (proxied, ()) = Change::make("it is a proxy", "announced", || announce("Proxy"))?;
        proxied.settles(world, world.client()?, &targets, &[])?;
    }
    world.delete_service("announced")?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}

/// A pod that is told to end serves on: clients outside at its node, until it is gone; nobody who
/// may be served by others.
fn terminating(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("ending", 0..2)?;
    let mut spec = dual("NodePort", "ending", 80);
    spec["externalTrafficPolicy"] = json!("Local");
    let given = world.put_service("ending", &spec)?;
    let at = world.first_node_at(given.node_ports[0]);
    let (outside, inside) = (world.lab.external().netns(), world.client()?);
    world.put_and_settle("created", "ending", &spec, outside, (&at, &pods[..1]))?;
    let load = Load::until_stopped(at[0], 1).start(outside)?;
    let end = || world.end_pods(&pods[..1]);
    let (told, ()) = Change::make("a pod is told to end", "ending", end)?;
    told.settles(world, inside, &given.at(80), &pods[1..])?;
    told.settles(world, inside, &at, &pods[1..])?;
    for dst in &at {
        let answer = outside.run(|| http::who(*dst))?;
        ensure!(answer.name == pods[0], "{} answered at {dst}", answer.name);
    }
    load.wait_for_more(100)?;
    load.stop()?.must_be_clean()?;
    let (gone, ()) = Change::make("it is gone", "ending", || world.stop_pods(&pods[..1]))?;
    gone.settles(world, outside, &at, &[])?;
    world.delete_service("ending")?;
    world.stop_pods(&pods[1..])?;
    world.remove_pods(&pods);
    Ok(())
}

/// A zone for each node, and Services that prefer what is near.
fn distribution(world: &mut World) -> Result<()> {
    world.balance()?;
    zones(world, [json!("a"), json!("b")])?;
    let pods = world.start_pods("near", 0..4)?;
    let nearest = [pods[0].clone(), pods[2].clone()];
    let mut spec = dual("ClusterIP", "near", 80);
    let given = world.put_service("near", &spec)?;
    let client = world.lab.node(1).pod("client")?.netns()?;
    for (preference, answering) in [
        (json!("PreferSameZone"), &nearest[..]),
        (Value::Null, &pods[..]),
        (json!("PreferSameNode"), &nearest[..]),
    ] {
        spec["trafficDistribution"] = preference;
        let targets = given.at(80);
        world.put_and_settle("distribution", "near", &spec, client, (&targets, answering))?;
    }
    world.delete_service("near")?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    zones(world, [Value::Null, Value::Null])
}

/// Says in which zone each node is.
fn zones(world: &World, zones: [Value; 2]) -> Result<()> {
    for (node, zone) in world.lab.nodes.iter().zip(zones) {
        let labels = json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": zone } } });
        world.api().merge("v1", "Node", &node.name, &labels)?;
    }
    Ok(())
}
