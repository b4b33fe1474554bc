//! The ranges that ClusterIPs are given out from.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use svclb::{
    pins::Pins,
    writer::{MapReader as _, maps::KernelMaps},
};
use svclb_tests::lab::{SOON, wait_for};

use crate::{Scenario, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[("service_cidrs_come_from_the_api", follows)];

const NAME: &str = "more";
const RANGE: &str = "10.97.0.0/24";

fn follows(world: &mut World) -> Result<()> {
    world.balance()?;
    let before = known(world)?;
    let own = named(world, "kubernetes")?;
    ensure!(!own.is_empty() && own.is_subset(&before), "{own:?} are not all in {before:?}");
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": { "name": NAME }, "spec": { "cidrs": [RANGE] }
    });
    world.api().apply(&object.to_string())?;
    let mut with_it = before.clone();
    with_it.insert(RANGE.to_owned());
    wait_until(world, &with_it)?;
    // What is known is not taken away and written again.
    let next = {
        world.agents.remove(0).terminate()?;
        world.start_agent(1)?
    };
    world.agents.insert(0, next);
    let written = world.lab.node(1).adoption()?;
    ensure!(written == 0, "{written} operations though nothing had changed");
    ensure!(known(world)? == with_it, "a range is gone with the agent");
    world.api().delete("networking.k8s.io/v1", "ServiceCIDR", NAME)?;
    wait_until(world, &before)
}

fn wait_until(world: &World, ranges: &BTreeSet<String>) -> Result<()> {
    let what = format!("the ranges {ranges:?} in the maps");
    wait_for(&what, SOON, || (known(world).ok()? == *ranges).then_some(()))
}

/// The ranges that node 1's maps hold.
fn known(world: &World) -> Result<BTreeSet<String>> {
    let maps = KernelMaps::open(&Pins::on(world.lab.node(1).bpffs())?)?;
    Ok(maps.read()?.service_cidrs.iter().map(ToString::to_string).collect())
}

/// The ranges of a ServiceCIDR.
fn named(world: &World, name: &str) -> Result<BTreeSet<String>> {
    let object = world.api().get(&format!("/apis/networking.k8s.io/v1/servicecidrs/{name}"))?;
    let cidrs = object["spec"]["cidrs"].as_array().context("no ranges")?;
    Ok(cidrs.iter().filter_map(|cidr| cidr.as_str().map(str::to_owned)).collect())
}
