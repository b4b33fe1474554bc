//! The base on a real API server.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use svclb_tests::{
    control_plane::{ControlPlane, Programs},
    lab::{Lab, Preset, SOON, manifests, wait_for},
};

use crate::{Test, kustomize};

pub(crate) const TESTS: &[Test] = &[
    ("the_base_is_accepted_and_every_node_gets_a_pod", base),
    ("the_account_may_do_what_the_agent_does_and_no_more", account),
];

/// Where the base's ServiceAccount is.
pub(crate) const NAMESPACE: &str = "kube-system";
/// Its name, which is the ClusterRole's, too.
pub(crate) const ACCOUNT: &str = "svclb";

/// A cluster of the lab's nodes, without svclb. Drop it before the lab.
pub(crate) fn cluster(lab: &Lab) -> Result<ControlPlane> {
    let cluster = ControlPlane::start(lab, Programs::find()?)?;
    lab.nodes.iter().try_for_each(|node| cluster.api().apply(&manifests::node(node)))?;
    Ok(cluster)
}

/// Applies the base as its users do, with further options.
pub(crate) fn apply(cluster: &ControlPlane, options: &[&str]) -> Result<String> {
    let folder = kustomize::folder();
    let folder = folder.to_string_lossy();
    cluster.kubectl(&[&["apply", "-k", &folder], options].concat(), "")
}

fn base() -> Result<()> {
    let lab = Lab::new(&Preset::ROUTED)?;
    let cluster = cluster(&lab)?;
    let dry = apply(&cluster, &["--dry-run=server"])?;
    ensure!(dry.matches("created (server dry run)").count() == 5, "{dry}");
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{ACCOUNT}");
    ensure!(cluster.api().get(&path).is_err(), "a dry run has made the DaemonSet");
    let applied = apply(&cluster, &[])?;
    ensure!(applied.matches(" created").count() == 5, "{applied}");
    // Nodes without a kubelet are not ready, and tainted for it: they get their pods all the same.
    wait_for("a pod on every node", 2 * SOON, || {
        let status = cluster.api().get(&path).ok()?["status"].clone();
        (status["currentNumberScheduled"] == lab.nodes.len()).then_some(())
    })?;
    let again = apply(&cluster, &[])?;
    ensure!(again.matches(" unchanged").count() == 5, "{again}");
    Ok(())
}

fn account() -> Result<()> {
    let lab = Lab::new(&Preset { nodes: 1, ..Preset::ROUTED })?;
    let cluster = cluster(&lab)?;
    apply(&cluster, &[])?;
    let allowed = [
        ("get", "", "services"),
        ("list", "", "services"),
        ("watch", "", "services"),
        ("list", "discovery.k8s.io", "endpointslices"),
        ("watch", "discovery.k8s.io", "endpointslices"),
        ("list", "", "nodes"),
        ("watch", "", "nodes"),
        ("list", "networking.k8s.io", "servicecidrs"),
        ("watch", "networking.k8s.io", "servicecidrs"),
        ("create", "events.k8s.io", "events"),
    ];
    for (verb, group, resource) in allowed {
        ensure!(may(&cluster, verb, group, resource)?, "{verb} {resource} is refused");
    }
    for (verb, group, resource) in [
        ("get", "", "secrets"),
        ("list", "", "pods"),
        ("update", "", "services"),
        ("patch", "", "nodes"),
        ("delete", "discovery.k8s.io", "endpointslices"),
    ] {
        ensure!(!may(&cluster, verb, group, resource)?, "{verb} {resource} is allowed");
    }
    Ok(())
}

/// Whether the account may do something in every namespace.
fn may(cluster: &ControlPlane, verb: &str, group: &str, resource: &str) -> Result<bool> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"),
            "resourceAttributes": { "verb": verb, "group": group, "resource": resource },
        },
    });
    let answer = cluster.kubectl(&["create", "-o", "json", "-f", "-"], &review.to_string())?;
    let answer: Value = serde_json::from_str(&answer).context("the review's answer")?;
    answer["status"]["allowed"].as_bool().context("an answer without status.allowed")
}
