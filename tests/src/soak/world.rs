//! The network of a soak: nodes with agents, pods that serve, Services, and places to ask from.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;

use super::{
    churn::{Churn, TARGETS},
    client::Target,
    pods::{self, Pods},
    server::{self, Server},
    tally::Tally,
};
use crate::lab::{
    Agent, Dual, Family, Lab, Manifests, Netns, Preset,
    manifests::{self, ServicePort},
};

/// How many Services have endpoints. The next one has none.
pub(super) const SERVICES: u16 = 16;

/// How many nodes there are.
const NODES: u8 = 3;

/// The pods.
pub(super) const PODS: Pods = Pods { nodes: NODES };

/// Options of the agents: small tables, in which leaks show, and time-outs that a soak outlives.
const OPTIONS: &[&str] = &[
    "--max-flows=16384",
    "--tcp-opening-timeout=10",
    "--tcp-answered-timeout=10",
    "--tcp-established-timeout=30",
    "--tcp-closing-timeout=10",
    "--tcp-closed-timeout=3",
    "--udp-opening-timeout=10",
    "--udp-established-timeout=15",
];

/// No limit of ICMP messages but svclb's: each question of the soak waits for its own.
const UNLIMITED: &[(&str, &str)] =
    &[("net/ipv4/icmp_ratelimit", "0"), ("net/ipv6/icmp/ratelimit", "0")];

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    /// The agents, in the nodes' order.
    pub(super) agents: Vec<Agent>,
    /// What the agents follow.
    pub(super) manifests: Manifests,
    /// The pods.
    pub(super) pods: Pods,
    /// The nodes and the clients.
    pub(super) lab: Lab,
}

/// Where clients ask from, and where they find the Services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// In the words of the report.
    pub(super) name: &'static str,
    /// The namespace.
    pub(super) netns: &'a Netns,
    /// The node whose NodePorts are asked; ClusterIPs if none.
    node: Option<Dual>,
}

impl World {
    /// Builds it, with every server ready and every agent running.
    ///
    /// # Errors
    /// The lab cannot be built, or an agent does not start.
    pub(super) fn build(tally: &Arc<Tally>, churn: &Churn) -> Result<Self> {
        let mut lab = Lab::new(&Preset { nodes: NODES, ..Preset::ROUTED })?;
        let pods = PODS;
        for node in 1..=NODES {
            lab.node_mut(node).add_client_pod("client")?;
        }
        for pod in pods.all() {
            lab.node_mut(pods::node_of(pod)).add_client_pod(&pods::name(pod))?;
        }
        let manifests = Manifests::at(&lab.folder().join("manifests"))?;
        let mut world = Self { agents: Vec::new(), manifests, pods, lab };
        world.lift_limits()?;
        world.pods.all().try_for_each(|pod| world.serve(pod, tally))?;
        world.write_manifests()?;
        (0..SERVICES).try_for_each(|service| churn.write(&world, service))?;
        for node in &world.lab.nodes {
            let agent = Agent::start(node, world.manifests.folder(), OPTIONS)?;
            world.agents.push(agent);
        }
        Ok(world)
    }

    /// Where clients ask from: pods by ClusterIP, which see and are seen as they are; machines
    /// outside by NodePort, masqueraded towards endpoints on other nodes.
    ///
    /// # Errors
    /// A pod has no namespace.
    pub(super) fn places(&self) -> Result<Vec<Place<'_>>> {
        let pod = |node| self.lab.node(node).pod("client").and_then(|pod| pod.netns());
        let at = |node| Some(self.lab.node(node).ip);
        Ok(vec![
            Place { name: "pod, ClusterIP", netns: pod(1)?, node: None },
            Place { name: "pod, another node's NodePort", netns: pod(2)?, node: at(3) },
            Place { name: "outside, NodePort", netns: self.lab.external().netns(), node: at(1) },
            Place { name: "LAN, NodePort", netns: self.lab.on_lan().netns(), node: at(2) },
        ])
    }

    fn lift_limits(&self) -> Result<()> {
        self.lab.router().sysctls(UNLIMITED)?;
        self.lab.nodes.iter().try_for_each(|node| {
            node.netns().sysctls(UNLIMITED)?;
            node.pods.iter().try_for_each(|pod| pod.netns()?.sysctls(UNLIMITED))
        })
    }

    fn serve(&self, pod: u16, tally: &Arc<Tally>) -> Result<()> {
        let found = self.lab.node(pods::node_of(pod)).pod(&pods::name(pod))?;
        let services = (0..SERVICES).filter(|service| self.pods.may_serve(pod, *service));
        let both = |service| {
            let at = |family| found.ip.socket(family, TARGETS + service);
            Family::BOTH.map(|family| Server { pod, service, at: at(family) })
        };
        server::start(found.netns()?, services.flat_map(both).collect(), tally)
    }

    fn write_manifests(&self) -> Result<()> {
        let nodes: Vec<_> = self.lab.nodes.iter().map(manifests::node).collect();
        self.manifests.write("nodes", &nodes.join("---\n"))?;
        (0..=SERVICES).try_for_each(|service| {
            self.manifests.write(&name(service), &service_manifest(service))
        })
    }
}

impl Place<'_> {
    /// All Services that have endpoints.
    pub(super) fn targets(&self, family: Family) -> Vec<Target> {
        let target = |service| Target {
            service,
            at: self.at(service, 0, family),
            closed: self.at(service, 1, family),
        };
        (0..SERVICES).map(target).collect()
    }

    /// The Service that has none.
    pub(super) fn nobody(&self, family: Family) -> SocketAddr {
        self.at(SERVICES, 0, family)
    }

    fn at(&self, service: u16, port: u16, family: Family) -> SocketAddr {
        match self.node {
            Some(ip) => ip.socket(family, node_port(service, port)),
            None => cluster_ip(service).socket(family, 80 + port),
        }
    }
}

/// The name of a Service.
pub(super) fn name(service: u16) -> String {
    format!("soak-{service}")
}

fn service_manifest(service: u16) -> String {
    let port = |name, protocol, port: u16, target| ServicePort {
        name,
        protocol,
        port: 80 + port,
        target,
        node_port: Some(node_port(service, port)),
    };
    // Slices say what the targets are.
    let ports =
        [port("tcp", "TCP", 0, "1"), port("udp", "UDP", 0, "1"), port("closed", "UDP", 1, "1")];
    manifests::service(&name(service), cluster_ip(service), &ports, None)
}

fn node_port(service: u16, port: u16) -> u16 {
    31_000 + 2 * service + port
}

fn cluster_ip(service: u16) -> Dual {
    let last = u8::try_from(service + 1).unwrap_or(u8::MAX);
    Dual { v4: [10, 96, 8, last].into(), v6: [0xfd00, 0x10, 0x96, 0, 0, 0, 8, last.into()].into() }
}
