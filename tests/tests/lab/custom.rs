//! Services that a scenario publishes for itself, with any field.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result};
use serde_json::Value;
use svclb_tests::lab::{Dual, Family, Lab, Node, SOON, manifests::slice, wait_for};

use crate::{
    services::place,
    world::{PORT, World},
};

/// A Service with a ClusterIP and a NodePort, TCP and UDP at each.
#[derive(Clone, Copy)]
pub(crate) struct Custom {
    pub(crate) name: &'static str,
    /// Unique among these services, from 1 on.
    pub(crate) index: u8,
}

/// A Service's fields as a scenario wants them, and the pods that serve it.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// More of `spec`, a field a line.
    pub(crate) spec: &'a [&'a str],
    /// Of `status.loadBalancer.ingress`, an entry each.
    pub(crate) ingress: &'a [&'a str],
    pub(crate) families: &'a [Family],
    /// TCP, UDP, SCTP.
    pub(crate) protocols: &'a [&'a str],
    pub(crate) endpoints: &'a [&'a str],
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self {
            spec: &[],
            ingress: &[],
            families: &Family::BOTH,
            protocols: &["TCP", "UDP"],
            endpoints: &[],
        }
    }
}

/// Takes a scenario's Service away, whatever became of the scenario.
pub(crate) struct Published {
    file: PathBuf,
}

impl Drop for Published {
    fn drop(&mut self) {
        // One that is not there was never published.
        let _ = fs::remove_file(&self.file);
    }
}

impl Custom {
    pub(crate) const fn new(name: &'static str, index: u8) -> Self {
        Self { name, index }
    }

    /// Where pods ask it.
    pub(crate) fn cluster(&self, family: Family) -> SocketAddr {
        self.cluster_ip().socket(family, 80)
    }

    /// Where the world asks it, at a node.
    pub(crate) fn at(&self, node: &Node, family: Family) -> SocketAddr {
        node.ip.socket(family, self.node_port())
    }

    pub(crate) fn node_port(&self) -> u16 {
        30_100 + u16::from(self.index)
    }

    fn cluster_ip(&self) -> Dual {
        Dual {
            v4: Ipv4Addr::new(10, 96, 2, self.index),
            v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 2, self.index.into()),
        }
    }

    /// Publishes it until the value is dropped; the agents have written it.
    pub(crate) fn publish(&self, world: &World, fields: Fields<'_>) -> Result<Published> {
        let file = world.manifests.folder().join(format!("{}.yaml", self.name));
        let published = Published { file };
        self.change(world, fields)?;
        Ok(published)
    }

    /// Publishes other fields of it; the agents have written them.
    pub(crate) fn change(&self, world: &World, fields: Fields<'_>) -> Result<()> {
        self.change_text(world, fields, |text| text)
    }

    /// The same with the manifest as `edit` leaves it.
    pub(crate) fn change_text(
        &self,
        world: &World,
        fields: Fields<'_>,
        edit: impl FnOnce(String) -> String,
    ) -> Result<()> {
        let (service, mark) = (edit(self.manifest(world, fields)?), Mark::of(self));
        world.manifests.write(self.name, &format!("{service}---\n{}", mark.manifest()))?;
        world.lab.nodes.iter().try_for_each(|node| mark.wait_for(node))
    }

    /// Writes other fields of it, whether an agent takes them or not.
    pub(crate) fn write(&self, world: &World, fields: Fields<'_>) -> Result<()> {
        world.manifests.write(self.name, &self.manifest(world, fields)?)
    }

    fn manifest(&self, world: &World, fields: Fields<'_>) -> Result<String> {
        let Fields { spec, ingress, families, protocols, endpoints } = fields;
        let Self { name, .. } = self;
        let ips: Vec<_> = families.iter().map(|f| self.cluster_ip().ip(*f).to_string()).collect();
        let names: Vec<_> = families.iter().map(|family| family.name()).collect();
        let more: String = spec.iter().map(|field| format!("  {field}\n")).collect();
        let port = |protocol: &&str| {
            let (name, node_port) = (port_name(protocol), self.node_port());
            format!(
                "  - {{name: {name}, protocol: {protocol}, port: 80, targetPort: {name}, \
                 nodePort: {node_port}}}\n"
            )
        };
        let ports: String = protocols.iter().map(port).collect();
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  \
             type: LoadBalancer\n  clusterIP: \"{}\"\n  clusterIPs: {ips:?}\n  \
             ipFamilies: [{}]\n{more}  ports:\n{ports}\
             status: {{loadBalancer: {{ingress: [{}]}}}}\n",
            ips.first().context("a Service has a family")?,
            names.join(", "),
            ingress.join(", "),
        );
        let places = endpoints.iter().map(|name| place(&world.lab, name));
        let places = places.collect::<Result<Vec<_>>>()?;
        let ports = ["TCP", "UDP", "SCTP"].map(|name| (port_name(name), name, PORT));
        let slices = families.iter().map(|family| slice(name, *family, &places, &ports));
        Ok([service].into_iter().chain(slices).collect::<Vec<_>>().join("---\n"))
    }
}

fn port_name(protocol: &str) -> &'static str {
    match protocol {
        "TCP" => "http",
        "UDP" => "echo",
        _ => "signal",
    }
}

/// A Service that is written last of its file: its one port has another number each time.
struct Mark {
    name: String,
    ip: Ipv4Addr,
    port: u16,
}

impl Mark {
    fn of(service: &Custom) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1_000);
        Self {
            name: format!("zz-{}", service.name),
            ip: Ipv4Addr::new(10, 96, 3, service.index),
            port: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn manifest(&self) -> String {
        let Self { name, ip, port } = self;
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
             spec: {{clusterIP: {ip}, ports: [{{name: mark, port: {port}}}]}}\n"
        )
    }

    /// Waits until it has its new frontend on the node, and the old one is gone.
    fn wait_for(&self, node: &Node) -> Result<()> {
        let Self { name, ip, port } = self;
        let wanted = Value::from(vec![format!("{ip}:{port}")]);
        wait_for(&format!("{name} at port {port} on {}", node.name), SOON, || {
            let text = node.svclb(&["get", "services", name, "-o", "json"]).ok()?;
            let rows: Value = serde_json::from_str(&text).ok()?;
            (rows[0]["frontends"] == wanted).then_some(())
        })
    }
}

/// An address that no machine has; the router hands packets to it to node 1.
pub(crate) fn vip(n: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(203, 0, 113, n),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, n.into()),
    }
}

/// An address of a load balancer and the entries of a status that name it.
pub(crate) fn balancer(n: u8) -> (Dual, [String; 2]) {
    let ip = vip(n);
    (ip, [format!("{{ip: \"{}\"}}", ip.v4), format!("{{ip: \"{}\"}}", ip.v6)])
}

/// Lets the router and the client on the LAN hand packets to [`vip`]s to node 1.
pub(crate) fn route_vips(lab: &Lab) -> Result<()> {
    let Dual { v4, v6 } = lab.node(1).ip;
    let routes = format!("route add 203.0.113.0/24 via {v4}\nroute add 2001:db8:5::/64 via {v6}\n");
    [lab.router(), lab.on_lan().netns()].iter().try_for_each(|netns| netns.ip(&routes))
}
