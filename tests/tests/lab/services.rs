//! The services that every world has, and their manifests.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use svclb_tests::lab::{
    Dual, Family, Lab, Manifests, Node,
    manifests::{ServicePort, node, service, slice},
};

use crate::world::PORT;

/// A service with a ClusterIP and a NodePort, TCP and UDP at each.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// The pods, or processes of nodes, that serve.
    pub(crate) endpoints: &'static [&'static str],
    index: u8,
}

/// All pods.
pub(crate) const WEB: Service =
    Service { name: "web", endpoints: &["web-1", "web-2", "web-3", "web-4"], index: 10 };
/// One pod of node 1.
pub(crate) const NEAR: Service = Service { name: "near", endpoints: &["web-1"], index: 11 };
/// One pod of node 2.
pub(crate) const FAR: Service = Service { name: "far", endpoints: &["web-3"], index: 12 };
/// The same pod of node 2.
pub(crate) const FAR_TOO: Service = Service { name: "far-too", endpoints: &["web-3"], index: 13 };
/// A process in node 2's own namespace.
pub(crate) const HOST: Service = Service { name: "host", endpoints: &["host-2"], index: 14 };
/// Nobody.
pub(crate) const EMPTY: Service = Service { name: "empty", endpoints: &[], index: 15 };
/// The endpoints that scenarios change.
pub(crate) const CHANGING: Service =
    Service { name: "changing", endpoints: &["web-1", "web-3"], index: 16 };

const ALL: [Service; 7] = [WEB, NEAR, FAR, FAR_TOO, HOST, EMPTY, CHANGING];

impl Service {
    /// Where pods ask it.
    pub(crate) fn cluster(&self, family: Family) -> SocketAddr {
        self.cluster_ip().socket(family, 80)
    }

    /// Where the world asks it, at a node.
    pub(crate) fn at(&self, node: &Node, family: Family) -> SocketAddr {
        node.ip.socket(family, self.node_port())
    }

    pub(crate) fn node_port(&self) -> u16 {
        30_000 + u16::from(self.index)
    }

    fn cluster_ip(&self) -> Dual {
        Dual {
            v4: Ipv4Addr::new(10, 96, 0, self.index),
            v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, self.index.into()),
        }
    }

    fn manifest(&self) -> String {
        let node_port = Some(self.node_port());
        let port =
            |name, protocol| ServicePort { name, protocol, port: 80, target: name, node_port };
        service(self.name, self.cluster_ip(), &[port("http", "TCP"), port("echo", "UDP")], None)
    }

    /// Writes the slices with these endpoints.
    pub(crate) fn write_slices(
        &self,
        lab: &Lab,
        manifests: &Manifests,
        endpoints: &[&str],
    ) -> Result<()> {
        self.write_slices_with(lab, manifests, endpoints, &[])
    }

    /// Writes the slices with these endpoints, and others that are about to end.
    pub(crate) fn write_slices_with(
        &self,
        lab: &Lab,
        manifests: &Manifests,
        endpoints: &[&str],
        ending: &[&str],
    ) -> Result<()> {
        let all = endpoints.iter().chain(ending);
        let places = all.map(|name| place(lab, name)).collect::<Result<Vec<_>>>()?;
        let ports = [("http", "TCP", PORT), ("echo", "UDP", PORT)];
        let slices = Family::BOTH.map(|family| slice(self.name, family, &places, &ports));
        let ends = &places[endpoints.len()..];
        let text = ends.iter().fold(slices.join("---\n"), |text, (ip, _)| terminate(&text, *ip));
        manifests.write(&format!("slices-{}", self.name), &text)
    }
}

/// Slices with that endpoint of theirs terminating.
pub(crate) fn terminate(slices: &str, endpoint: Dual) -> String {
    const TERMINATING: &str = "{ready: false, serving: true, terminating: true}";
    let own = Family::BOTH.map(|family| format!("[\"{}\"]", endpoint.ip(family)));
    let line = |line: &str| match own.iter().any(|own| line.contains(own)) {
        true => line.replace("{ready: true}", TERMINATING) + "\n",
        false => line.to_owned() + "\n",
    };
    slices.lines().map(line).collect()
}

/// Writes the manifests of the nodes and of all services.
pub(crate) fn write_all(lab: &Lab, manifests: &Manifests) -> Result<()> {
    let nodes: Vec<_> = lab.nodes.iter().map(node).collect();
    manifests.write("nodes", &nodes.join("---\n"))?;
    ALL.iter().try_for_each(|service| {
        manifests.write(&format!("service-{}", service.name), &service.manifest())?;
        service.write_slices(lab, manifests, service.endpoints)
    })
}

/// The addresses of that server, and its node.
pub(crate) fn place<'a>(lab: &'a Lab, name: &str) -> Result<(Dual, &'a str)> {
    let found = lab.nodes.iter().find_map(|node| Some((node.pod(name).ok()?.ip, &*node.name)));
    found.with_context(|| format!("no pod {name}"))
}
