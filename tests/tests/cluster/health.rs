//! Health-check node ports that the API server gives out.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use svclb_tests::lab::{Family, SOON, wait_for};

use crate::{Scenario, services::dual, world::World};

pub(crate) const SCENARIOS: &[Scenario] =
    &[("health_check_port_of_the_api_servers_choice", api_servers_choice)];

const NAME: &str = "checked";

fn api_servers_choice(world: &mut World) -> Result<()> {
    world.balance()?;
    let mut spec = dual("LoadBalancer", NAME, 80);
    spec["externalTrafficPolicy"] = json!("Local");
    world.put_service(NAME, &spec)?;
    let service = world.api().get(&format!("/api/v1/namespaces/default/services/{NAME}"))?;
    let port = service["spec"]["healthCheckNodePort"].as_u64().context("no port was given")?;
    let port = u16::try_from(port)?;
    are_told(world, port, [0, 0])?;
    let pods = world.start_pods(NAME, 0..1)?;
    are_told(world, port, [1, 0])?;
    let more = world.start_pods(NAME, 1..3)?;
    are_told(world, port, [2, 1])?;
    world.stop_pods(&pods)?;
    are_told(world, port, [1, 1])?;
    world.stop_pods(&more)?;
    are_told(world, port, [0, 0])?;
    world.delete_service(NAME)?;
    world.remove_pods(&pods);
    world.remove_pods(&more);
    Ok(())
}

/// A load balancer behind the router is told by each node how many endpoints it has.
fn are_told(world: &World, port: u16, ready: [u64; 2]) -> Result<()> {
    for (node, ready) in world.lab.nodes.iter().zip(ready) {
        for family in Family::BOTH {
            let server = node.ip.socket(family, port);
            let mut last = None;
            let told = wait_for(&format!("{server} to tell of {ready} endpoints"), SOON, || {
                let reply = world.lab.external().netns().get(server, "/healthz").ok()?;
                let body: Value = serde_json::from_str(&reply.body).ok()?;
                let right = body["localEndpoints"] == ready;
                last = Some(reply);
                right.then_some(())
            });
            told.with_context(|| format!("at last {last:?}"))?;
            let (last, status) = (last.context("asked")?, if ready > 0 { 200 } else { 503 });
            ensure!(last.status == status, "{last:?}");
        }
    }
    Ok(())
}
