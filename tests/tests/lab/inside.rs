//! Clients inside and outside the cluster, and what endpoints see of them.

use anyhow::{Context, Result};
use svclb_tests::lab::{Family, Netns, Node};

use crate::{
    client::Source::{Kept, Masqueraded},
    scenario::Scenario,
    services::{FAR, NEAR, Service},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("client_outside_is_masqueraded_towards_cluster_ip", outside).few(),
    Scenario::once("detection_follows_the_option", modes).few(),
];

/// Routes to ClusterIPs through a node, until the value is dropped.
struct Routed<'a> {
    netns: Vec<&'a Netns>,
    route: String,
}

impl<'a> Routed<'a> {
    fn through(world: &'a World, node: &Node, family: Family) -> Result<Self> {
        let range = match family {
            Family::V4 => "10.96.0.0/16",
            Family::V6 => "fd00:10:96::/112",
        };
        let route = format!("{range} via {}", node.ip.ip(family));
        let mut routed = Self { netns: Vec::new(), route };
        for netns in [world.lab.router(), world.lab.on_lan().netns()] {
            netns.ip(format!("route add {}", routed.route))?;
            routed.netns.push(netns);
        }
        Ok(routed)
    }
}

impl Drop for Routed<'_> {
    fn drop(&mut self) {
        for netns in &self.netns {
            // Namespaces go with the lab, and these with them.
            let _ = netns.ip(format!("route del {}", self.route));
        }
    }
}

fn outside(world: &mut World, family: Family) -> Result<()> {
    let _routed = Routed::through(world, world.lab.node(1), family)?;
    for client in world.outsiders() {
        for service in [NEAR, FAR] {
            client.asks(service.cluster(family), service.endpoints, Masqueraded)?;
        }
    }
    // A pod of this node is none of them.
    world.asker("web-2")?.asks(NEAR.cluster(family), NEAR.endpoints, Kept)
}

/// Options, what an endpoint sees of a client outside and of a pod, and whom they may ask: where an
/// outside client is not masqueraded, only an endpoint of this node answers through it.
type Mode<'a> = (&'a [&'a str], bool, bool, &'a [Service]);

const MODES: [Mode<'_>; 5] = [
    (&["--detect-local", "off"], false, false, &[NEAR]),
    (
        &["--detect-local", "cluster-cidr", "--cluster-cidr", "10.244.0.0/16,fd00:10:244::/48"],
        true,
        false,
        &[NEAR, FAR],
    ),
    (&["--detect-local", "interface", "--pod-interface-prefix", "pod"], true, false, &[NEAR, FAR]),
    (&["--masquerade-all"], true, true, &[NEAR, FAR]),
    (&[], true, false, &[NEAR, FAR]),
];

fn modes(world: &mut World) -> Result<()> {
    let asked = MODES.iter().try_for_each(|mode| {
        world.restart_agent(1, mode.0)?;
        Family::BOTH.into_iter().try_for_each(|family| follows(world, mode, family))
    });
    world.restart_agent(1, &[])?;
    asked
}

fn follows(world: &World, mode: &Mode<'_>, family: Family) -> Result<()> {
    let (options, outsider, pod, services) = *mode;
    let source = |masqueraded| if masqueraded { Masqueraded } else { Kept };
    let _routed = Routed::through(world, world.lab.node(1), family)?;
    for service in services {
        let (dst, endpoints) = (service.cluster(family), service.endpoints);
        for client in world.outsiders() {
            client.asks(dst, endpoints, source(outsider)).with_context(|| options.join(" "))?;
        }
        let asker = world.asker("web-2")?;
        asker.asks(dst, endpoints, source(pod)).with_context(|| options.join(" "))?;
    }
    Ok(())
}
