//! The agent with the token of the base's ServiceAccount, and no other rights.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use svclb_tests::{
    control_plane::ControlPlane,
    lab::{
        Agent, Dual, Family, Lab, Node, Preset, Process, binary,
        manifests::{self, ServicePort},
        wait_for,
    },
    traffic::{http, load::Load},
};

use crate::{
    Test,
    cluster::{ACCOUNT, NAMESPACE, apply, cluster},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_agent_with_the_accounts_token_serves_traffic", serves),
    ("a_verb_that_is_missing_is_told_and_waited_for", missing_verb),
];

const NODE_PORT: u16 = 30_081;
const POD_PORT: u16 = 8080;

/// How long until what the API holds is served: the controller makes the slices first.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// A lab with a pod a node, and, to be dropped first, a cluster of it with the base, and a Service of the pods.
fn world() -> Result<(Lab, ControlPlane)> {
    let mut lab = Lab::new(&Preset::ROUTED)?;
    for (node, pod) in [(1, "web-1"), (2, "web-2")] {
        lab.node_mut(node).add_pod(pod, &[POD_PORT])?;
    }
    let cluster = cluster(&lab)?;
    apply(&cluster, &[])?;
    for node in &lab.nodes {
        let pods = node.pods.iter().map(|pod| manifests::pod(pod, &node.name, "web"));
        pods.into_iter().try_for_each(|pod| cluster.api().apply(&pod))?;
    }
    let port = ServicePort {
        name: "http",
        protocol: "TCP",
        port: 80,
        target: "http",
        node_port: Some(NODE_PORT),
    };
    cluster.api().apply(&manifests::service("web", cluster_ip(), &[port], Some("web")))?;
    Ok((lab, cluster))
}

fn cluster_ip() -> Dual {
    Dual {
        v4: Ipv4Addr::new(10, 96, 0, 81),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x81),
    }
}

/// A kubeconfig with a token of the account.
fn kubeconfig(cluster: &ControlPlane) -> Result<PathBuf> {
    let token = cluster.kubectl(&["create", "token", ACCOUNT, "--namespace", NAMESPACE], "")?;
    cluster.kubeconfig_with_token(ACCOUNT, token.trim())
}

fn serves() -> Result<()> {
    let (lab, cluster) = world()?;
    let agent = Agent::follow_cluster(lab.node(1), &kubeconfig(&cluster)?, &[])?;
    is_served(&lab)?;
    agent.terminate()
}

fn is_served(lab: &Lab) -> Result<()> {
    Family::BOTH.iter().try_for_each(|family| {
        let dst = lab.node(1).ip.socket(*family, NODE_PORT);
        let report = lab.external().netns().run(|| {
            wait_for(&format!("an answer at {dst}"), SERVED_WITHIN, || http::who(dst).ok())?;
            Load::http(dst, 100).run()
        })?;
        report.must_be_clean()?;
        ensure!(report.by_pod.len() == 2, "not every pod answers: {:?}", report.by_pod);
        Ok(())
    })
}

/// Without a verb the agent says which, goes on trying, and works once it has it.
fn missing_verb() -> Result<()> {
    let (lab, cluster) = world()?;
    let remove = json!([{ "op": "replace", "path": "/rules/1/verbs", "value": ["list"] }]);
    let patch = format!("--patch={remove}");
    cluster.kubectl(&["patch", "clusterrole", ACCOUNT, "--type=json", &patch], "")?;
    let mut agent = start(lab.node(1), &kubeconfig(&cluster)?)?;
    wait_for("the agent to name what is forbidden", SERVED_WITHIN, || {
        let log = agent.log_tail(50);
        let named = log.contains("endpointslices") && log.contains("forbidden");
        agent.must_run().err().map(Err).or(named.then_some(Ok(())))
    })
    .flatten()
    .with_context(|| agent.log_tail(20))?;
    apply(&cluster, &[])?;
    is_served(&lab).with_context(|| agent.log_tail(20))?;
    agent.must_run()
}

/// The agent as a process that need not become ready.
fn start(node: &Node, kubeconfig: &Path) -> Result<Process> {
    let mut agent = Command::new(binary("svclb", "SVCLB_BIN", "svclb-userspace")?);
    agent.arg("run").arg("--kubeconfig").arg(kubeconfig).args(["--node-name", &node.name]);
    agent.arg("--bpffs").arg(node.bpffs()).env("NO_COLOR", "1");
    let log = node.folder().join("agent.log");
    Process::start(agent, node.netns(), node.cgroup(), &log)
}
