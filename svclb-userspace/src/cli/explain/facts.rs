//! What the agent of this node would know.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use ipnet::IpNet;
use svclb::{
    agent::From,
    attach::own_addresses,
    config::Config,
    desired::{NodeContext, inside::Ranges},
    explain::Facts,
    health::Health,
    metrics::Metrics,
    pins::Pins,
    snapshot::{Change, Snapshot},
    source::{Source, manifests::InUse},
    state::Traffic,
    writer::{MapReader as _, maps::KernelMaps},
};
use tokio::time::timeout;

use crate::cli::run::{host_name, source_of, told_apart};

/// How long the source may take to tell everything.
const LISTED_WITHIN: Duration = Duration::from_secs(30);

/// What is known, owned.
pub(super) struct Known {
    snapshot: Snapshot,
    node: NodeContext,
    addresses: BTreeMap<IpAddr, u32>,
    clients: Ranges,
    service_cidrs: BTreeSet<IpNet>,
    pod_interfaces: Option<String>,
    masquerade_all: bool,
}

impl Known {
    pub(super) fn facts(&self) -> Facts<'_> {
        let (inside, detected) = self.clients.clone();
        Facts {
            snapshot: &self.snapshot,
            node: &self.node,
            addresses: self.addresses.clone(),
            inside,
            detected,
            pod_interfaces: self.pod_interfaces.clone(),
            masquerade_all: self.masquerade_all,
            service_cidrs: self.service_cidrs.clone(),
        }
    }
}

/// Reads the objects, and what this machine is.
pub(super) async fn read(config: Config) -> Result<Known> {
    let Config { agent, source, allocation, traffic, .. } = config;
    let name: Arc<str> = agent.node_name.map_or_else(host_name, Ok)?.into();
    let from = source_of(source, allocation)?;
    let source = start(from, &name, &agent.bpffs).await?;
    let snapshot = timeout(LISTED_WITHIN, listed(source))
        .await
        .with_context(|| format!("the source has not told everything in {LISTED_WITHIN:?}"))??;
    let object = snapshot.node(&name);
    let named = object.map(|node| node.addresses.clone()).unwrap_or_default();
    let own = of_node(own_addresses().context("addresses of this machine")?, &named);
    let addresses = traffic.nodeport_addresses.table(&own, object);
    let zone = object.and_then(|node| node.zone.clone());
    let (masquerade_all, prefix) = (traffic.masquerade_all, traffic.pod_interface_prefix.clone());
    let Traffic { detection, service_cidrs, left_to_host } = told_apart(traffic);
    let addresses_of_node = own.into_iter().chain(named).collect();
    let node = NodeContext { name, zone, addresses: addresses_of_node, left_to_host };
    let clients = detection.ranges(object).unwrap_or_default();
    let service_cidrs = snapshot.service_cidrs().union(&service_cidrs).copied().collect();
    let pod_interfaces = prefix.map(|prefix| prefix.0);
    Ok(Known { node, addresses, clients, service_cidrs, pod_interfaces, masquerade_all, snapshot })
}

/// The node's addresses: this machine's if it is the node, else those of its object.
fn of_node(own: BTreeSet<IpAddr>, named: &[IpAddr]) -> BTreeSet<IpAddr> {
    let is_here = named.is_empty() || named.iter().any(|ip| own.contains(ip));
    if is_here { own } else { named.iter().copied().collect() }
}

/// The source, of a cluster to its last resource.
async fn start(from: From, node: &Arc<str>, bpffs: &Path) -> Result<Source> {
    // Nobody asks for them.
    let (metrics, health) = (Arc::new(Metrics::new(0)), Arc::new(Health::new(LISTED_WITHIN)));
    Ok(match from.start(node, || in_use(bpffs), &metrics, &health).await? {
        Source::Kubernetes(cluster) => Source::Kubernetes(cluster.wait_for_all()),
        manifests @ Source::Manifests(_) => manifests,
    })
}

/// What Services of manifests have been given by the agent, if there is one.
fn in_use(bpffs: &Path) -> Result<InUse> {
    match Pins::on(bpffs) {
        Ok(pins) if pins.exist() => Ok(InUse::of(&KernelMaps::open(&pins)?.read()?)),
        _ => Ok(InUse::default()),
    }
}

/// The sum of what the source tells, problems on standard error.
async fn listed(mut source: Source) -> Result<Snapshot> {
    let (mut snapshot, mut touched) = (Snapshot::default(), BTreeSet::new());
    loop {
        let (_, batch) = source.next().await.context("the source has ended")?;
        batch.problems.iter().for_each(|problem| eprintln!("svclb: {problem}"));
        let is_listed = batch.changes.contains(&Change::Listed);
        batch.changes.into_iter().for_each(|change| snapshot.apply(change, &mut touched));
        if is_listed {
            return Ok(snapshot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_nodes_addresses_are_those_of_its_object() {
        let [a, b, c] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|ip| ip.parse().expect("ip"));
        let own = BTreeSet::from([a, b]);
        assert_eq!(of_node(own.clone(), &[]), own, "without an object");
        assert_eq!(of_node(own.clone(), &[b, c]), own, "this machine is the node");
        assert_eq!(of_node(own, &[c]), BTreeSet::from([c]));
    }
}
