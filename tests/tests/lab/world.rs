//! The lab that the scenarios of a preset share.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use svclb_tests::lab::{Agent, Foreign, Lab, Manifests, Pod, Preset};

use crate::{custom, services, untouched};

/// Where every server listens.
pub(crate) const PORT: u16 = 8080;

/// A lab with two pods a node, and on each node a process in its own namespace that serves too.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) manifests: Manifests,
    /// One a node once svclb runs, in the nodes' order.
    pub(crate) agents: Vec<Agent>,
    /// Other people's programs on the nodes of a hostile preset, once svclb runs.
    pub(crate) foreign: Vec<Foreign>,
    /// How packets that are no service's business looked at their destination without svclb.
    pub(crate) untouched: untouched::Captures,
}

impl World {
    fn build(preset: &Preset) -> Result<Self> {
        let mut lab = Lab::new(preset)?;
        for (node, pods) in [(1, ["web-1", "web-2"]), (2, ["web-3", "web-4"])] {
            for pod in pods {
                lab.node_mut(node).add_pod(pod, &[PORT])?;
            }
            lab.node_mut(node).add_host_process(&format!("host-{node}"), &[PORT])?;
        }
        let manifests = Manifests::at(&lab.folder().join("manifests"))?;
        services::write_all(&lab, &manifests)?;
        custom::route_vips(&lab)?;
        let (agents, foreign) = (Vec::new(), Vec::new());
        Ok(Self { lab, manifests, agents, foreign, untouched: untouched::Captures::default() })
    }

    /// Starts svclb on the nodes, unless it runs.
    pub(crate) fn balance(&mut self) -> Result<()> {
        if !self.agents.is_empty() {
            return Ok(());
        }
        self.untouched = untouched::capture(self).context("packets without svclb")?;
        for node in &self.lab.nodes {
            self.agents.push(self.start_agent(node.number)?);
            if self.lab.preset.hostile.is_some() {
                self.foreign.push(Foreign::attach(node.netns(), &node.netns().devices()?)?);
            }
        }
        Ok(())
    }

    /// Starts the agent of node `n`, beside those that run.
    pub(crate) fn start_agent(&self, n: u8) -> Result<Agent> {
        self.start_agent_with(n, &[])
    }

    /// The same with options.
    pub(crate) fn start_agent_with(&self, n: u8, options: &[&str]) -> Result<Agent> {
        Agent::start(self.lab.node(n), self.manifests.folder(), options)
    }

    /// Ends the agent of node `n` and starts its next one.
    pub(crate) fn restart_agent(&mut self, n: u8, options: &[&str]) -> Result<()> {
        let place = usize::from(n) - 1;
        self.agents.remove(place).terminate()?;
        let next = self.start_agent_with(n, options)?;
        self.agents.insert(place, next);
        Ok(())
    }

    /// The server of that name.
    pub(crate) fn pod(&self, name: &str) -> Result<&Pod> {
        let mut pods = self.lab.nodes.iter().flat_map(|node| &node.pods);
        pods.find(|pod| pod.name == name).with_context(|| format!("no pod {name}"))
    }

    /// What the agents and the kernel say, for a failure's report.
    fn diagnosis(&self) -> String {
        let mut text = String::new();
        for node in self.lab.nodes.iter().filter(|_| !self.agents.is_empty()) {
            let _ = write!(text, "\n--- {}: agent\n{}", node.name, node.agent_log(10));
            match node.outcomes() {
                Ok(counts) => {
                    counts.iter().filter(|(_, count)| *count > 0).for_each(|(name, n)| {
                        let _ = write!(text, "\n{}: {name} {n}", node.name);
                    })
                }
                Err(error) => text += &format!("\n{error:#}"),
            }
            // A flow without an answer is where a connection got lost.
            let flows = node.svclb(&["get", "flows"]).unwrap_or_default();
            for flow in flows.lines().filter(|line| line.contains("opening")).take(10) {
                let _ = write!(text, "\n{}: {flow}", node.name);
            }
        }
        text
    }
}

/// The world of the preset whose scenarios run now.
static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// Runs `f` in the world of `preset`; that of another preset makes room first. A failure carries
/// what the agents say.
pub(crate) fn within<T>(preset: Preset, f: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
    let mut slot = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|world| world.lab.preset != preset) {
        *slot = None;
    }
    let world = match &mut *slot {
        Some(world) => world,
        None => slot.insert(World::build(&preset).with_context(|| format!("lab {preset}"))?),
    };
    f(world).map_err(|error| anyhow::anyhow!("{error:#}\n{}", world.diagnosis()))
}

/// Removes the last world.
pub(crate) fn leave() {
    *WORLD.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
