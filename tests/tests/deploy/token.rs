//! The agent with the token of the base's ServiceAccount, and no other rights.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use svclb_tests::lab::{Process, binary, wait_for};

use crate::{
    Test,
    cluster::{ACCOUNT, apply},
    world::{SERVED_WITHIN, World},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_agent_with_the_accounts_token_serves_traffic", serves),
    ("a_verb_that_is_missing_is_told_and_waited_for", missing_verb),
];

fn serves() -> Result<()> {
    let world = World::new()?;
    let mut agent = start(&world)?;
    world.is_served(&mut agent)?;
    let status = agent.terminate()?;
    ensure!(status.success(), "the agent ended: {status}");
    Ok(())
}

/// Without a verb the agent says which, goes on trying, and works once it has it.
fn missing_verb() -> Result<()> {
    let world = World::new()?;
    let remove = json!([{ "op": "replace", "path": "/rules/1/verbs", "value": ["list"] }]);
    let patch = format!("--patch={remove}");
    world.cluster.kubectl(&["patch", "clusterrole", ACCOUNT, "--type=json", &patch], "")?;
    let mut agent = start(&world)?;
    wait_for("the agent to name what is forbidden", SERVED_WITHIN, || {
        let log = agent.log_tail(50);
        let named = log.contains("endpointslices") && log.contains("forbidden");
        agent.must_run().err().map(Err).or(named.then_some(Ok(())))
    })
    .flatten()
    .with_context(|| agent.log_tail(20))?;
    apply(&world.cluster, &[])?;
    world.is_served(&mut agent)?;
    agent.must_run()
}

/// The agent of node 1, as a process that need not become ready.
fn start(world: &World) -> Result<Process> {
    let node = world.lab.node(1);
    let kubeconfig = world.cluster.kubeconfig_with_token(ACCOUNT, &world.token()?)?;
    let mut agent = Command::new(binary("svclb", "SVCLB_BIN", "svclb-userspace")?);
    agent.arg("run").arg("--kubeconfig").arg(kubeconfig).args(["--node-name", &node.name]);
    agent.arg("--bpffs").arg(node.bpffs()).arg("--cgroup").arg(node.cgroup());
    agent.env("NO_COLOR", "1");
    let log = node.folder().join("agent.log");
    Process::start(agent, node.netns(), node.cgroup(), &log)
}
