//! What the base says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use svclb_tests::lab::{binary, command};

use crate::{Test, kustomize, overlay};

pub(crate) const TESTS: &[Test] = &[
    ("every_object_is_in_place", objects),
    ("any_node_takes_it_one_at_a_time", daemon_set),
    ("the_image_has_this_version", image),
    ("the_configuration_is_accepted", configuration),
    ("the_documented_overlay_is_made", overlay::is_made),
    ("only_what_the_agent_uses_is_allowed", verbs),
];

fn objects() -> Result<()> {
    let mut kinds: Vec<_> =
        kustomize::objects()?.iter().map(|object| object["kind"].clone()).collect();
    kinds.sort_by_key(Value::to_string);
    let expected =
        ["ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "ServiceAccount"];
    ensure!(kinds == expected.map(Value::from), "{kinds:?}");
    Ok(())
}

fn daemon_set() -> Result<()> {
    let object = kustomize::object("DaemonSet")?;
    let pod = &object["spec"]["template"]["spec"];
    let expected = json!({
        "hostNetwork": true,
        "priorityClassName": "system-node-critical",
        "tolerations": [{ "operator": "Exists" }],
        "serviceAccountName": "svclb",
    });
    for (field, value) in expected.as_object().context("an object")? {
        ensure!(pod[field] == *value, "{field} is {}", pod[field]);
    }
    let update = &object["spec"]["updateStrategy"];
    ensure!(update["rollingUpdate"]["maxUnavailable"] == 1, "{update}");
    Ok(())
}

fn image() -> Result<()> {
    let pod = kustomize::object("DaemonSet")?["spec"]["template"]["spec"].clone();
    let wanted = concat!("localhost/svclb:", env!("CARGO_PKG_VERSION"));
    for list in ["initContainers", "containers"] {
        for container in pod[list].as_array().with_context(|| format!("no {list}"))? {
            ensure!(container["image"] == wanted, "{}", container["image"]);
        }
    }
    Ok(())
}

fn configuration() -> Result<()> {
    let svclb = binary("svclb", "SVCLB_BIN", "svclb-userspace")?;
    let file = kustomize::folder().join("config.yaml");
    let arguments = ["config", "check", &file.to_string_lossy()];
    command::run(&svclb.to_string_lossy(), &arguments, "").map(drop)
}

fn verbs() -> Result<()> {
    let role = kustomize::object("ClusterRole")?;
    let rules = role["rules"].as_array().context("no rules")?;
    let allowed: Vec<_> = rules
        .iter()
        .map(|rule| json!([rule["apiGroups"], rule["resources"], rule["verbs"]]))
        .collect();
    let expected = [
        json!([[""], ["services"], ["get", "list", "watch"]]),
        json!([["discovery.k8s.io"], ["endpointslices"], ["list", "watch"]]),
        json!([[""], ["nodes"], ["list", "watch"]]),
        json!([["networking.k8s.io"], ["servicecidrs"], ["list", "watch"]]),
        json!([["events.k8s.io"], ["events"], ["create"]]),
    ];
    ensure!(allowed == expected, "{allowed:?}");
    Ok(())
}
