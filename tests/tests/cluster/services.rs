//! Services of each type, from nothing to traffic.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Scenario,
    probe::Change,
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("services_of_each_type_carry_traffic", each_type),
    ("headless_and_external_services_are_left_alone", left_alone),
];

/// What the API server has given to a Service.
pub(crate) struct Given {
    /// ClusterIPs, the first family's first; none of a headless Service.
    pub(crate) cluster: Vec<IpAddr>,
    /// NodePorts in the order of the ports; 0 where there is none.
    pub(crate) node_ports: Vec<u16>,
}

impl Given {
    /// All ClusterIPs with a port.
    pub(crate) fn at(&self, port: u16) -> Vec<SocketAddr> {
        self.cluster.iter().map(|ip| (*ip, port).into()).collect()
    }
}

impl World {
    /// Creates or changes a Service; what it was given.
    pub(crate) fn put_service(&self, name: &str, spec: &Value) -> Result<Given> {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec
        });
        self.api().apply(&service.to_string())?;
        self.given(name)
    }

    /// What a Service was given.
    pub(crate) fn given(&self, name: &str) -> Result<Given> {
        let service = self.api().get(&format!("/api/v1/namespaces/default/services/{name}"))?;
        let ips = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
        let cluster = ips.filter_map(Value::as_str).filter(|ip| *ip != "None").map(str::parse);
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let node_ports = ports.map(|port| port["nodePort"].as_u64().unwrap_or_default());
        Ok(Given {
            cluster: cluster.collect::<Result<_, _>>().context("clusterIPs")?,
            node_ports: node_ports.map(u16::try_from).collect::<Result<_, _>>()?,
        })
    }

    /// Deletes a Service.
    pub(crate) fn delete_service(&self, name: &str) -> Result<()> {
        self.api().delete("v1", "Service", name)
    }

    /// Every address of every node with a port.
    pub(crate) fn nodes_at(&self, port: u16) -> Vec<SocketAddr> {
        let nodes = self.lab.nodes.iter();
        nodes.flat_map(|node| [(node.ip.v4, port).into(), (node.ip.v6, port).into()]).collect()
    }

    /// What `svclb get services` shows on the first node.
    pub(crate) fn known(&self, name: &str) -> Result<Vec<Value>> {
        let rows = self.lab.node(1).svclb(&["get", "services", "-o", "json"])?;
        let rows: Vec<Value> = serde_json::from_str(&rows).context("svclb get services")?;
        Ok(rows.into_iter().filter(|row| row["service"] == name).collect())
    }
}

/// The ports of a Service with one port, TCP and UDP.
pub(crate) fn ports(port: u16) -> Value {
    json!([
        { "name": "http", "protocol": "TCP", "port": port, "targetPort": PORT },
        { "name": "echo", "protocol": "UDP", "port": port, "targetPort": PORT },
    ])
}

/// The specification of a dual-stack Service of a type.
pub(crate) fn dual(kind: &str, app: &str, port: u16) -> Value {
    json!({
        "type": kind,
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv4", "IPv6"],
        "selector": { "app": app },
        "ports": ports(port),
    })
}

fn each_type(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("typed", 0..4)?;
    for (kind, name) in
        [("ClusterIP", "cluster-ip"), ("NodePort", "node-port"), ("LoadBalancer", "balancer")]
    {
        let (created, given) = Change::make("a service is created", name, || {
            world.put_service(name, &dual(kind, "typed", 80))
        })?;
        created.is_right(world, world.client()?, &given.at(80), &pods)?;
        if kind != "ClusterIP" {
            let targets = world.nodes_at(*given.node_ports.first().context("no NodePort")?);
            created.settles(world, world.lab.external().netns(), &targets, &pods)?;
        }
        world.delete_service(name)?;
    }
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}

fn left_alone(world: &mut World) -> Result<()> {
    world.balance()?;
    let headless =
        json!({ "clusterIP": "None", "selector": { "app": "alone" }, "ports": ports(80) });
    world.put_service("headless", &headless)?;
    let external = json!({ "type": "ExternalName", "externalName": "db.example.com" });
    world.put_service("external", &external)?;
    // What comes after them is known, so they were seen.
    let pods = world.start_pods("alone", 0..1)?;
    let (created, given) = Change::make("a service after those", "plain", || {
        world.put_service("plain", &dual("ClusterIP", "alone", 80))
    })?;
    created.is_right(world, world.client()?, &given.at(80), &pods)?;
    ensure!(!world.known("plain")?.is_empty(), "the plain service is not known");
    for name in ["headless", "external"] {
        ensure!(world.known(name)?.is_empty(), "{name} is programmed");
        for node in &world.lab.nodes {
            let log = node.agent_log(usize::MAX);
            let said = log.lines().find(|line| line.contains("WARN") && line.contains(name));
            ensure!(said.is_none(), "{}: {said:?}", node.name);
        }
    }
    ["headless", "external", "plain"].iter().try_for_each(|name| world.delete_service(name))?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}
