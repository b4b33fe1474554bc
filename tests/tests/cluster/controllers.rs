//! The control plane alone: what svclb is told.

use anyhow::{Context as _, Result, ensure};
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
    let counted = |wanted: usize| {
        let what = format!("slices of both families with {wanted} endpoints");
        wait_for(&what, SOON, || (endpoints(world).ok()? == [wanted, wanted]).then_some(()))
    };
    counted(3)?;
    world.stop_pods(&pods[..2])?;
    counted(1)?;
    world.api().delete("v1", "Service", "sliced")?;
    wait_for("the slices to go with their service", SOON, || {
        endpoints(world).ok()?.is_empty().then_some(())
    })?;
    world.stop_pods(&pods[2..])?;
    world.remove_pods(&pods);
    Ok(())
}

/// How many ready endpoints each slice of the service has.
fn endpoints(world: &World) -> Result<Vec<usize>> {
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices\
                ?labelSelector=kubernetes.io/service-name=sliced";
    let list = world.api().get(path)?;
    let slices = list["items"].as_array().context("no list")?;
    let ready = |slice: &serde_json::Value| {
        let endpoints = slice["endpoints"].as_array().into_iter().flatten();
        endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
    };
    Ok(slices.iter().map(ready).collect())
}

fn restart(world: &mut World) -> Result<()> {
    world.cluster.kubectl(&["create", "configmap", "kept"], "")?;
    world.cluster.kill_apiserver()?;
    ensure!(!world.api().is_ready(), "a killed API server answers");
    world.cluster.start_apiserver()?;
    world.cluster.kubectl(&["delete", "configmap", "kept"], "")?;
    Ok(())
}
