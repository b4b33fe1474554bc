//! Traffic policies: who answers pods, processes of the nodes and clients outside, and which source
//! address is seen.

use anyhow::{Context, Result, ensure};
use svclb_tests::lab::Family;

use crate::{
    client::{
        Asker,
        Source::{self, Kept, Masqueraded},
    },
    custom::{Custom, Fields, balancer},
    expect::{
        answering, answering_host, answering_process, drops, hangs, host_hangs, names,
        process_hangs,
    },
    host::asks_any,
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("internal_policy_local_serves_by_this_nodes_endpoints", internal).few(),
    Scenario::per_family("internal_policy_local_none_local_drops", internal_none).few(),
    Scenario::per_family("external_policy_local_outside_clients", outside_clients).few(),
    Scenario::per_family("external_policy_local_clients_inside", clients_inside).few(),
    Scenario::per_family("external_policy_local_none_local", external_none).few(),
    Scenario::per_family("external_policy_local_at_pods_sockets", at_pods_sockets).few(),
    Scenario::per_family("external_policy_cluster_outside_clients", cluster_policy).few(),
    Scenario::per_family("external_policy_local_serves_by_who_terminates_last", terminating).few(),
];

const SERVICE: Custom = Custom::new("policies", 10);

const INTERNAL_LOCAL: &str = "internalTrafficPolicy: Local";
const EXTERNAL_LOCAL: &str = "externalTrafficPolicy: Local";

/// An endpoint on each node.
const BOTH: Fields<'_> = Fields {
    spec: &[],
    ingress: &[],
    families: &Family::BOTH,
    protocols: &["TCP", "UDP"],
    endpoints: &["web-1", "web-3"],
};

fn internal(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, Fields { spec: &[INTERNAL_LOCAL], ..BOTH })?;
    let dst = SERVICE.cluster(family);
    for (pod, node, near) in [("web-2", 1, "web-1"), ("web-4", 2, "web-3")] {
        let asker = world.asker(pod)?;
        asker.asks(dst, &[near], Kept)?;
        ensure!(answering(asker.netns, dst)? == names([near]), "not only {near} at {dst}");
        let node = world.lab.node(node);
        asks_any(node, dst, &[near])?;
        ensure!(answering_host(node, dst)? == names([near]), "not only {near} at {dst}");
    }
    // The other policy is the NodePort's.
    let all = answering(world.asker("web-2")?.netns, SERVICE.at(world.lab.node(1), family))?;
    ensure!(all == names(["web-1", "web-3"]), "{all:?} answer at the NodePort");
    Ok(())
}

fn internal_none(world: &mut World, family: Family) -> Result<()> {
    let fields = Fields { spec: &[INTERNAL_LOCAL], endpoints: &["web-3"], ..BOTH };
    let _published = SERVICE.publish(world, fields)?;
    let (dst, node) = (SERVICE.cluster(family), world.lab.node(1));
    drops(node, "no_local_endpoint", || hangs(world.asker("web-2")?.netns, dst)).context("pod")?;
    drops(node, "no_local_endpoint", || host_hangs(node, dst)).context("host")?;
    world.asker("web-4")?.asks(dst, &["web-3"], Kept)?;
    asks_any(world.lab.node(2), dst, &["web-3"])
}

/// Each node answers by its own endpoint, which sees the client.
fn outside_clients(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(1);
    let ingress = ingress.each_ref().map(String::as_str);
    let fields = Fields { spec: &[EXTERNAL_LOCAL], ingress: &ingress, ..BOTH };
    let _published = SERVICE.publish(world, fields)?;
    let [first, second] = [1, 2].map(|n| SERVICE.at(world.lab.node(n), family));
    for client in world.outsiders() {
        let targets = [(first, "web-1"), (second, "web-3"), (vip.socket(family, 80), "web-1")];
        for (dst, near) in targets {
            client.asks(dst, &[near], Kept)?;
            ensure!(answering(client.netns, dst)? == names([near]), "not only {near} at {dst}");
        }
    }
    // To node 2, node 1 and its pods are outside.
    asks_any(world.lab.node(1), second, &["web-3"])?;
    let pod = answering(world.asker("web-2")?.netns, second)?;
    ensure!(pod == names(["web-3"]), "{pod:?} answered a pod of the other node");
    Ok(())
}

/// A pod or the node itself that asks its own node is served by all endpoints.
fn clients_inside(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(1);
    let ingress = ingress.each_ref().map(String::as_str);
    let fields = Fields { spec: &[EXTERNAL_LOCAL], ingress: &ingress, ..BOTH };
    let _published = SERVICE.publish(world, fields)?;
    let all = names(["web-1", "web-3"]);
    for (node, pod) in [(1, "web-2"), (2, "web-4")] {
        let (node, asker) = (world.lab.node(node), world.asker(pod)?);
        for dst in [SERVICE.at(node, family), vip.socket(family, 80)] {
            let pods = answering(asker.netns, dst)?;
            ensure!(pods == all, "{pods:?} answered {pod} at {dst}");
            asker.asks(dst, BOTH.endpoints, Kept)?;
            let host = answering_host(node, dst)?;
            ensure!(host == all, "{host:?} answered {} at {dst}", node.name);
        }
    }
    Ok(())
}

fn external_none(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(1);
    let ingress = ingress.each_ref().map(String::as_str);
    let fields =
        Fields { spec: &[EXTERNAL_LOCAL], ingress: &ingress, endpoints: &["web-3"], ..BOTH };
    let _published = SERVICE.publish(world, fields)?;
    let node = world.lab.node(1);
    for dst in [SERVICE.at(node, family), vip.socket(family, 80)] {
        for client in world.outsiders() {
            drops(node, "no_local_endpoint", || hangs(client.netns, dst))
                .with_context(|| format!("{} asks {dst}", client.name))?;
        }
        world.asker("web-2")?.asks(dst, &["web-3"], Kept)?;
        asks_any(node, dst, &["web-3"])?;
    }
    Ok(())
}

/// Where sockets of pods are translated, too, each policy is what it is for packets.
fn at_pods_sockets(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--socket-hooks", "all"])?;
    let held = held_at_pods_sockets(world, family);
    world.restart_agent(1, &[])?;
    held
}

fn held_at_pods_sockets(world: &World, family: Family) -> Result<()> {
    let (node, pod) = (world.lab.node(1), world.asker("web-2")?);
    let spec = [INTERNAL_LOCAL, EXTERNAL_LOCAL];
    let _published = SERVICE.publish(world, Fields { spec: &spec, ..BOTH })?;
    for (dst, expected) in [
        (SERVICE.cluster(family), names(["web-1"])),
        (SERVICE.at(node, family), names(["web-1", "web-3"])),
    ] {
        let answered = answering_process(node, pod.netns, dst)?;
        ensure!(answered == expected, "{answered:?} answered at {dst}");
    }
    SERVICE.change(world, Fields { spec: &spec, endpoints: &["web-3"], ..BOTH })?;
    let cluster = SERVICE.cluster(family);
    drops(node, "no_local_endpoint", || process_hangs(node, pod.netns, cluster))?;
    let answered = answering_process(node, pod.netns, SERVICE.at(node, family))?;
    ensure!(answered == names(["web-3"]), "{answered:?} answered at the NodePort");
    Ok(())
}

/// For comparison: any endpoint answers, and sees the client if it is on the node that was asked.
fn cluster_policy(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, BOTH)?;
    let dst = SERVICE.at(world.lab.node(1), family);
    for client in world.outsiders() {
        let all = answering(client.netns, dst)?;
        ensure!(all == names(["web-1", "web-3"]), "{all:?} answered at {dst}");
        sees(world, client, "web-1", Kept, family)?;
        sees(world, client, "web-3", Masqueraded, family)?;
    }
    Ok(())
}

/// Whom the endpoint sees when it is the only one.
fn sees(
    world: &World,
    client: Asker<'_>,
    endpoint: &str,
    source: Source,
    family: Family,
) -> Result<()> {
    SERVICE.change(world, Fields { endpoints: &[endpoint], ..BOTH })?;
    let asked = client.asks(SERVICE.at(world.lab.node(1), family), &[endpoint], source);
    SERVICE.change(world, BOTH)?;
    asked
}

/// While a node's last endpoint terminates and still serves, clients outside are served by it; it
/// gets none of those that others may serve.
fn terminating(world: &mut World, family: Family) -> Result<()> {
    let fields = Fields { spec: &[EXTERNAL_LOCAL], ..BOTH };
    let _published = SERVICE.publish(world, fields)?;
    let conditions = |now: &'static str| {
        move |text: String| text.replace("node1, conditions: {ready: true}", now)
    };
    let serves = "node1, conditions: {ready: false, serving: true, terminating: true}";
    SERVICE.change_text(world, fields, conditions(serves))?;
    let at_node = SERVICE.at(world.lab.node(1), family);
    world.outsiders()[0].asks(at_node, &["web-1"], Kept)?;
    let pod = world.asker("web-2")?;
    for dst in [at_node, SERVICE.cluster(family)] {
        let answered = answering(pod.netns, dst)?;
        ensure!(answered == names(["web-3"]), "{answered:?} answered a pod at {dst}");
    }
    let over = "node1, conditions: {ready: false, serving: false, terminating: true}";
    SERVICE.change_text(world, fields, conditions(over))?;
    hangs(world.outsiders()[0].netns, at_node)
}
