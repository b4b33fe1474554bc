//! The cluster in which both proxies run, one after the other.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    elsewhere::Elsewhere,
    objects::{self, Addresses, TARGET},
    scenario::{Endpoint, Frontend, Place, Scenario, Server},
    scenarios::SENTINEL,
    seen::{Names, Seen},
};
use crate::{
    control_plane::{ControlPlane, KubeProxy, Programs},
    lab::{Agent, Dual, Family, Lab, Node, Preset, manifests, wait_for},
    traffic::probe::{self, Outcome, Protocol},
};

/// The pod that asks.
const CLIENT: &str = "client";

/// How often a frontend is asked: of two endpoints one stays unseen once in some ten million times.
const TRIES: usize = 24;

/// How long a proxy may take to program the last Service once it says that it is well.
const PROGRAMMED_WITHIN: Duration = Duration::from_secs(30);

/// No limit on ICMP errors to one peer.
const UNLIMITED_ICMP: &[(&str, &str)] =
    &[("net/ipv4/icmp_ratelimit", "0"), ("net/ipv6/icmp/ratelimit", "0")];

/// A service proxy to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proxy {
    /// This project's.
    Svclb,
    /// Kubernetes' own, in its nftables mode.
    KubeProxy,
}

/// A proxy that runs on a node.
enum Running {
    Svclb(Agent),
    KubeProxy(KubeProxy),
}

/// A control plane that knows all scenarios' objects, and two nodes with clients and servers.
pub struct World {
    cluster: ControlPlane,
    _elsewhere: Elsewhere,
    // After what runs in it.
    lab: Lab,
}

impl World {
    /// Builds it, without a proxy.
    ///
    /// # Errors
    /// The lab or the control plane cannot be built, or the API server refuses an object.
    pub(super) fn build(programs: Programs, scenarios: &[&'static Scenario]) -> Result<Self> {
        let mut lab = Lab::new(&Preset::ROUTED)?;
        lab.node_mut(1).add_client_pod(CLIENT)?;
        for (name, node) in objects::servers() {
            lab.node_mut(node).add_pod(name, &[TARGET])?;
        }
        // Refusals must not be a matter of how many there were before.
        lab.node(1).netns().sysctls(UNLIMITED_ICMP)?;
        let elsewhere = Elsewhere::join(&lab, &asked(scenarios)).context("elsewhere")?;
        let cluster = ControlPlane::start(&lab, programs).context("control plane")?;
        let world = Self { cluster, _elsewhere: elsewhere, lab };
        world.write(scenarios).context("objects of the scenarios")?;
        Ok(world)
    }

    fn write(&self, scenarios: &[&'static Scenario]) -> Result<()> {
        let api = self.cluster.api();
        for node in &self.lab.nodes {
            api.apply(&manifests::node(node))?;
            api.merge("v1", "Node", &node.name, &objects::zone(node.number))?;
        }
        for (number, scenario) in numbered(scenarios).chain([SENTINEL]) {
            api.apply(&objects::service(scenario, number).to_string())?;
            self.put(scenario, scenario.endpoints, number)?;
        }
        Ok(())
    }

    /// Gives a scenario's Service these endpoints.
    fn put(&self, scenario: &Scenario, endpoints: &[Endpoint], number: u8) -> Result<()> {
        let slices = objects::slices(scenario, endpoints, number, &self.lab);
        slices.iter().try_for_each(|slice| self.cluster.api().apply(&slice.to_string()))
    }

    /// Starts a proxy on both nodes, sees what becomes of each scenario, and takes the proxy away.
    ///
    /// # Errors
    /// It does not start, or does not serve what it must.
    pub(super) fn observe(
        &mut self,
        proxy: Proxy,
        scenarios: &[&'static Scenario],
    ) -> Result<Vec<Seen>> {
        let running: Result<Vec<Running>> =
            self.lab.nodes.iter().map(|node| self.start(proxy, node)).collect();
        let running = running.with_context(|| format!("{proxy:?}"))?;
        let seen = self.see_all(scenarios).with_context(|| format!("{proxy:?}"))?;
        for (node, running) in self.lab.nodes.iter().zip(running) {
            running.stop(node)?;
        }
        self.change(scenarios, |scenario| Some(scenario.endpoints))?;
        Ok(seen)
    }

    /// Those that change are asked twice.
    fn see_all(&self, scenarios: &[&'static Scenario]) -> Result<Vec<Seen>> {
        self.wait_for_sentinel(Server::Near)?;
        let see = |(number, scenario)| self.see(scenario, number);
        let mut all = numbered(scenarios).map(see).collect::<Result<Vec<Seen>>>()?;
        self.change(scenarios, |scenario| scenario.then)?;
        self.wait_for_sentinel(Server::Far)?;
        for ((number, scenario), seen) in numbered(scenarios).zip(&mut all) {
            if scenario.then.is_some() {
                *seen = self.see(scenario, number)?;
            }
        }
        Ok(all)
    }

    fn start(&self, proxy: Proxy, node: &Node) -> Result<Running> {
        let kubeconfig = self.cluster.kubeconfig();
        match proxy {
            Proxy::Svclb => Agent::follow_cluster(node, kubeconfig, &[]).map(Running::Svclb),
            Proxy::KubeProxy => {
                KubeProxy::start(node, self.cluster.programs(), kubeconfig).map(Running::KubeProxy)
            }
        }
    }

    /// Gives other endpoints to the scenarios that change.
    fn change(
        &self,
        scenarios: &[&'static Scenario],
        to: impl Fn(&Scenario) -> Option<&'static [Endpoint]>,
    ) -> Result<()> {
        for (number, scenario) in numbered(scenarios).chain([SENTINEL]) {
            let changes = scenario.then.and_then(|_| to(scenario));
            changes.map_or(Ok(()), |endpoints| self.put(scenario, endpoints, number))?;
        }
        Ok(())
    }

    /// Waits until a pod that asks the Service that is always written last gets to this server.
    fn wait_for_sentinel(&self, server: Server) -> Result<()> {
        let ((number, sentinel), (name, _)) = (SENTINEL, server.place());
        let pod = self.lab.node(1).pod(CLIENT)?.netns()?;
        for family in Family::BOTH {
            let dst = self.address(number, Frontend::ClusterIp, family);
            wait_for(sentinel.name, PROGRAMMED_WITHIN, || {
                let told = pod.run(|| probe::ask(Protocol::Tcp, dst, 1)).ok()?;
                told.iter().any(|told| told.is_of(name)).then_some(())
            })?;
        }
        Ok(())
    }

    /// All protocols and families at once: what waits for silence waits once.
    fn see(&self, scenario: &Scenario, number: u8) -> Result<Seen> {
        let variants = Protocol::ALL.map(|protocol| Family::BOTH.map(|family| (protocol, family)));
        let variants = variants.as_flattened();
        let told: Vec<Result<BTreeSet<Outcome>>> = thread::scope(|scope| {
            let ask = |(protocol, family)| move || self.ask(scenario, number, protocol, family);
            let asking: Vec<_> = variants.iter().map(|one| scope.spawn(ask(*one))).collect();
            let told = asking.into_iter().map(thread::ScopedJoinHandle::join);
            told.map(|told| told.map_err(|_| anyhow!("asking panicked")).flatten()).collect()
        });
        let names = self.names(scenario.from);
        // Which of several endpoints it is, chance says.
        let pinned = scenario.service.affinity && scenario.endpoints.len() > 1;
        let mut seen = Seen::default();
        for ((protocol, family), told) in variants.iter().zip(told) {
            let told = told.with_context(|| scenario.name)?;
            seen.add(*protocol, *family, &told, pinned, &names);
        }
        Ok(seen)
    }

    fn ask(
        &self,
        scenario: &Scenario,
        number: u8,
        protocol: Protocol,
        family: Family,
    ) -> Result<BTreeSet<Outcome>> {
        let frontends = scenario.to.iter();
        let told: Result<Vec<_>> = frontends
            .map(|to| self.ask_from(scenario.from, protocol, self.address(number, *to, family)))
            .collect();
        Ok(told?.into_iter().flatten().collect())
    }

    /// Processes of nodes and pods are in their node's control group, as a kubelet puts them.
    fn ask_from(
        &self,
        place: Place,
        protocol: Protocol,
        dst: SocketAddr,
    ) -> Result<BTreeSet<Outcome>> {
        let node = self.lab.node(1);
        let netns = match place {
            Place::Outside => {
                let outside = self.lab.on_lan().netns();
                return outside.run(|| probe::ask(protocol, dst, TRIES));
            }
            Place::Host => node.netns(),
            Place::Pod => node.pod(CLIENT)?.netns()?,
            Place::Endpoint => node.pod("near")?.netns()?,
        };
        let (tries, dst) = (TRIES.to_string(), dst.to_string());
        let told = node.lab_tool(netns, &["probe", protocol.name(), "--tries", &tries, &dst])?;
        serde_json::from_str(&told).context("lab-tool: not its output")
    }

    fn address(&self, number: u8, frontend: Frontend, family: Family) -> SocketAddr {
        let (at, node) = (Addresses::of(number), self.lab.node(1).ip);
        let own = if frontend == Frontend::Localhost { LOCALHOST } else { node };
        let (ip, port) = at.at(frontend).unwrap_or((own, at.node_port()));
        ip.socket(family, port)
    }

    /// Names of the addresses that servers may see; the client's own goes before its node's.
    fn names(&self, place: Place) -> Names {
        let nodes = self.lab.nodes.iter().map(|node| (node.ip, node_name(node.number)));
        let node = self.lab.node(1);
        let pod = |name| node.pods.iter().find(|pod| pod.name == name).map(|pod| pod.ip);
        let own = match place {
            Place::Outside => Some(self.lab.on_lan().ip),
            Place::Host => Some(node.ip),
            Place::Pod => pod(CLIENT),
            Place::Endpoint => pod("near"),
        };
        let all = nodes.chain(own.map(|ip| (ip, "the client")));
        let both = |(ip, name): (Dual, &'static str)| Family::BOTH.map(|f| (ip.ip(f), name));
        all.flat_map(both).collect()
    }
}

impl Running {
    /// Ends it. svclb is taken out of the kernel, too; kube-proxy's rules are left.
    fn stop(self, node: &Node) -> Result<()> {
        match self {
            Self::Svclb(agent) => {
                agent.terminate()?;
                node.svclb(&["unload"]).map(drop)
            }
            Self::KubeProxy(mut proxy) => proxy.must_run(),
        }
    }
}

const LOCALHOST: Dual = Dual { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST };

/// Scenarios with the numbers of their Services.
fn numbered(scenarios: &[&'static Scenario]) -> impl Iterator<Item = (u8, &'static Scenario)> {
    (1..).zip(scenarios.iter().copied())
}

/// Everything that is asked and no node's own.
fn asked(scenarios: &[&'static Scenario]) -> Vec<(Dual, u16)> {
    let of = |(number, scenario): (u8, &'static Scenario)| {
        scenario.to.iter().filter_map(move |to| Addresses::of(number).at(*to))
    };
    numbered(scenarios).flat_map(of).collect()
}

fn node_name(number: u8) -> &'static str {
    match number {
        1 => "node1",
        _ => "node2",
    }
}
