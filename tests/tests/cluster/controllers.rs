//! The control plane alone: what svclb is told.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use svclb_tests::lab::{SOON, wait_for};

use crate::{Scenario, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("controllers_make_slices_of_pods", slices),
    ("the_apiserver_starts_again_on_its_data", restart),
];

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: sliced}
spec:
  selector: {app: sliced}
  ipFamilyPolicy: RequireDualStack
  ports: [{name: http, port: 80, targetPort: http}]
";

fn slices(world: &mut World) -> Result<()> {
    world.cluster.kubectl(&["apply", "-f", "-"], SERVICE)?;
    let pods = world.start_pods("sliced", 0..3)?;
    let in_both_families = |wanted: &[String]| {
        wait_for(&format!("slices of both families with {wanted:?}"), SOON, || {
            let slices = world.slices("sliced").ok()?;
            let fits = |slice| ready(slice).iter().eq(wanted);
            (slices.len() == 2 && slices.iter().all(fits)).then_some(())
        })
    };
    in_both_families(&pods)?;
    world.stop_pods(&pods[..2])?;
    in_both_families(&pods[2..])?;
    world.api().delete("v1", "Service", "sliced")?;
    wait_for("the slices to go with their service", SOON, || {
        world.slices("sliced").ok()?.is_empty().then_some(())
    })?;
    world.stop_pods(&pods[2..])?;
    world.remove_pods(&pods);
    Ok(())
}

impl World {
    /// The pods that are ready in every slice of a Service of the namespace `default`, in order;
    /// none without slices.
    pub(crate) fn endpoints(&self, service: &str) -> Result<BTreeSet<String>> {
        let slices = self.slices(service)?.into_iter().map(|slice| ready(&slice));
        Ok(slices.reduce(|a, b| &a & &b).unwrap_or_default())
    }

    fn slices(&self, service: &str) -> Result<Vec<Value>> {
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices\
             ?labelSelector=kubernetes.io/service-name={service}"
        );
        let list = self.api().get(&path)?;
        Ok(list["items"].as_array().context("no list")?.clone())
    }
}

/// The names of the ready pods of a slice.
fn ready(slice: &Value) -> BTreeSet<String> {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .filter_map(|endpoint| endpoint["targetRef"]["name"].as_str().map(str::to_owned))
        .collect()
}

fn restart(world: &mut World) -> Result<()> {
    world.cluster.kubectl(&["create", "configmap", "kept"], "")?;
    world.cluster.kill_apiserver()?;
    ensure!(!world.api().is_ready(), "a killed API server answers");
    world.cluster.start_apiserver()?;
    world.cluster.kubectl(&["delete", "configmap", "kept"], "")?;
    Ok(())
}
