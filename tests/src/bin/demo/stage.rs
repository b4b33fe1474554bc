//! The lab with the agents in it.

use std::path::Path;

use anyhow::{Context as _, Result};
use svclb_tests::lab::{Agent, Family, Lab, Manifests, Netns, Preset, address};

use crate::{
    manifests::{self, PODS},
    screen::Screen,
    traffic::address::GATEWAY,
};

/// The tag of the demo's lab: its namespaces are `svclb-demo-*`.
const TAG: &str = "demo";

/// The pod that asks.
const CLIENT: &str = "client";

/// The lab, the agents, and the folder that they follow.
pub(crate) struct Stage {
    // The agents end before what they run in.
    agents: Vec<Agent>,
    /// The network.
    pub(crate) lab: Lab,
    /// The manifests that the agents follow.
    pub(crate) manifests: Manifests,
}

impl Stage {
    /// Brings everything up.
    ///
    /// # Errors
    /// A part of the lab or an agent does not come up.
    pub(crate) fn set_up(screen: &Screen, examples: &Path) -> Result<Self> {
        screen.heading("A cluster's network out of namespaces: two nodes, pods, a client outside");
        let mut lab = Lab::named(TAG, &Preset::ROUTED)?;
        for pod in PODS {
            lab.node_mut(pod.node).add_pod(pod.name, pod.ports)?;
        }
        lab.node_mut(1).add_pod(CLIENT, &[])?;
        describe(screen, &lab);

        screen.heading("An agent on each node, following the manifests in examples/");
        let manifests = Manifests::at(&lab.folder().join("manifests"))?;
        manifests::copy(examples, &manifests)?;
        let start = |node| Agent::start(node, manifests.folder(), &[]);
        let agents = lab.nodes.iter().map(start).collect::<Result<_>>()?;
        screen.command("svclb run --manifests examples --node-name node1", "ready; node2 too");
        Ok(Self { agents, lab, manifests })
    }

    /// The namespace of the pod that asks.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn client_pod(&self) -> Result<&Netns> {
        self.lab.node(1).pod(CLIENT)?.netns()
    }

    /// Leaves everything up and says how to enter it.
    pub(crate) fn keep(self, screen: &Screen) {
        let Self { agents, lab, manifests } = self;
        let (node, client) = (lab.node(1), lab.external().netns().name());
        let to = address::node(1).socket(Family::V4, GATEWAY);
        let bpffs = node.bpffs().display();
        screen.heading("Everything stays up. To play with it:");
        screen.line(format_args!("ip netns exec {client} target/debug/lab-tool http {to} -n 100"));
        screen.line(format_args!("target/debug/svclb get backends --bpffs {bpffs}"));
        screen.line(format_args!("bpftool map dump pinned {bpffs}/svclb/v1/maps/frontends4"));
        screen.line(format_args!("tail -f {}/agent.log", node.folder().display()));
        screen.line(format_args!("edit {}/*.yaml", manifests.folder().display()));
        screen.line("cargo xtask demo --remove     (takes it away)");
        agents.into_iter().for_each(std::mem::forget);
        lab.keep();
    }
}

/// Removes a stage that was kept.
///
/// # Errors
/// Something of it cannot be removed.
pub(crate) fn remove() -> Result<()> {
    Lab::remove(TAG).context("removing the demo's lab")
}

fn describe(screen: &Screen, lab: &Lab) {
    let outside = lab.external().ip.v4;
    screen.line(format_args!("client {outside} --- router --- nodes, each with IPv4 and IPv6:"));
    for node in &lab.nodes {
        let pods: Vec<_> = node.pods.iter().map(|pod| pod.name.as_str()).collect();
        screen.line(format_args!("  {} {:<10} pods {}", node.name, node.ip.v4, pods.join(", ")));
    }
}
