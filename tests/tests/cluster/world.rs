//! The cluster that the scenarios share.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use svclb_tests::{
    control_plane::{Api, ControlPlane, Programs},
    lab::{Agent, Lab, Netns, Pod, Preset, manifests},
};

/// Where every server listens.
pub(crate) const PORT: u16 = 8080;

/// The pod that asks.
const CLIENT: &str = "client";

/// A control plane, and two nodes that the API knows.
pub(crate) struct World {
    pub(crate) cluster: ControlPlane,
    /// One a node once svclb runs, in the nodes' order.
    pub(crate) agents: Vec<Agent>,
    // After what runs in it.
    pub(crate) lab: Lab,
}

impl World {
    fn build() -> Result<Self> {
        let mut lab = Lab::new(&Preset::ROUTED)?;
        let cluster = ControlPlane::start(&lab, Programs::find()?).context("control plane")?;
        for node in &lab.nodes {
            cluster.api().apply(&manifests::node(node))?;
        }
        lab.node_mut(1).add_client_pod(CLIENT)?;
        Ok(Self { cluster, agents: Vec::new(), lab })
    }

    pub(crate) fn api(&self) -> &Api {
        self.cluster.api()
    }

    /// Starts svclb on the nodes, unless it runs.
    pub(crate) fn balance(&mut self) -> Result<()> {
        if self.agents.is_empty() {
            for number in 1..=self.lab.preset.nodes {
                self.agents.push(self.start_agent(number)?);
            }
        }
        self.agents.iter_mut().try_for_each(Agent::must_run)
    }

    /// Starts the agent of node `n`.
    pub(crate) fn start_agent(&self, n: u8) -> Result<Agent> {
        Agent::follow_cluster(self.lab.node(n), self.cluster.kubeconfig(), &[])
    }

    /// The namespace of a pod that asks.
    pub(crate) fn client(&self) -> Result<&Netns> {
        self.lab.node(1).pod(CLIENT)?.netns()
    }

    /// Starts pods of an app, alternately on both nodes, and tells the API as kubelets would; their
    /// names are `<app>-<i>` for the numbers given.
    pub(crate) fn start_pods(
        &mut self,
        app: &str,
        numbers: std::ops::Range<u8>,
    ) -> Result<Vec<String>> {
        let names: Vec<String> = numbers.map(|i| format!("{app}-{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            self.lab.nodes[i % 2].add_pod(name, &[PORT, PORT + 1])?;
        }
        self.announce(app, &names)?;
        Ok(names)
    }

    /// Ends pods of an app; the API knows it first.
    pub(crate) fn stop_pods(&self, names: &[String]) -> Result<()> {
        names.iter().try_for_each(|name| self.api().delete("v1", "Pod", name))
    }

    /// Tells pods to end; there is no kubelet that would end them.
    pub(crate) fn end_pods(&self, names: &[String]) -> Result<()> {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let gracefully = ["delete", "pod", "--grace-period=600", "--wait=false"];
        self.cluster.kubectl(&[&gracefully[..], &names].concat(), "").map(drop)
    }

    /// Removes the processes and namespaces of pods that the API does not know any more.
    pub(crate) fn remove_pods(&mut self, names: &[String]) {
        for node in &mut self.lab.nodes {
            node.pods.retain(|pod| !names.contains(&pod.name));
        }
    }

    /// Tells the API of running pods, with the label `app`.
    fn announce(&self, app: &str, names: &[String]) -> Result<()> {
        let texts: Result<Vec<String>> = names
            .iter()
            .map(|name| {
                let (node, pod) = self.pod(name)?;
                Ok(manifests::pod(pod, node, app))
            })
            .collect();
        self.api().apply(&texts?.join("---\n"))
    }

    fn pod(&self, name: &str) -> Result<(&str, &Pod)> {
        let found = self.lab.nodes.iter().find_map(|node| {
            let pod = node.pods.iter().find(|pod| pod.name == name)?;
            Some((node.name.as_str(), pod))
        });
        found.with_context(|| format!("no pod {name}"))
    }

    /// What the agents and the controllers say, for a failure's report.
    fn diagnosis(&self) -> String {
        let agents = self.lab.nodes.iter().zip(&self.agents);
        agents
            .map(|(node, _)| format!("\n--- {}: agent\n{}", node.name, node.agent_log(15)))
            .collect()
    }
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// Runs `f` in the cluster. A failure carries what the agents say.
pub(crate) fn within<T>(f: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
    let mut slot = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    let world = match &mut *slot {
        Some(world) => world,
        None => slot.insert(World::build()?),
    };
    f(world).map_err(|error| anyhow::anyhow!("{error:#}\n{}", world.diagnosis()))
}

/// Removes the cluster.
pub(crate) fn leave() {
    *WORLD.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
