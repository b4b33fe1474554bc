//! Many connections: fair shares, short lives, and changes while they run.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, SOON, wait_for},
    traffic::{http, load::Load},
};

use crate::{
    scenario::Scenario,
    services::{CHANGING, FAR, Service, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("shares_are_fair", shares_are_fair),
    Scenario::per_family("short_connections_from_one_client", short_connections),
    Scenario::per_family("endpoints_change_under_load", endpoints_change),
    Scenario::once("agent_killed_under_load", agent_killed),
];

/// The chi-square of three degrees of freedom that a fair choice exceeds once in a million runs.
const CHI_SQUARE_LIMIT: f64 = 30.66;

fn shares_are_fair(world: &mut World, family: Family) -> Result<()> {
    let load = Load::http(WEB.cluster(family), 10_000);
    let report = world.asker("web-1")?.netns.run(|| load.run())?;
    report.must_be_clean()?;
    let unfair = report.chi_square(WEB.endpoints);
    ensure!(unfair < CHI_SQUARE_LIMIT, "chi-square {unfair:.1}: {:?}", report.by_pod);
    Ok(())
}

/// Every connection takes a masquerade port towards the same endpoint.
fn short_connections(world: &mut World, family: Family) -> Result<()> {
    let load = Load::http(FAR.at(world.lab.node(1), family), 20_000);
    world.lab.external().netns().run(|| load.run())?.must_be_clean()
}

fn endpoints_change(world: &mut World, family: Family) -> Result<()> {
    let dst = CHANGING.cluster(family);
    let http = Load::until_stopped(dst, 3);
    let client = world.lab.external().netns();
    let loads = [
        http.start(world.asker("web-1")?.netns)?,
        Load { dst: CHANGING.at(world.lab.node(1), family), ..http }.start(client)?,
        Load { udp: true, ..http }.start(world.asker("web-4")?.netns)?,
    ];
    let changes: [&[&str]; 3] =
        [&["web-1", "web-2", "web-3", "web-4"], &["web-2", "web-4"], CHANGING.endpoints];
    for endpoints in changes {
        CHANGING.write_slices(&world.lab, &world.manifests, endpoints)?;
        wait_until_only(world, &CHANGING, family, endpoints)?;
        loads.iter().try_for_each(|load| load.wait_for_more(100))?;
    }
    loads.into_iter().try_for_each(|load| load.stop()?.must_be_clean())
}

/// Waits until the service is answered by exactly `endpoints`, on both nodes.
pub(crate) fn wait_until_only(
    world: &World,
    service: &Service,
    family: Family,
    endpoints: &[&str],
) -> Result<()> {
    /// One of four is missed by a fair choice once in ten million times.
    const ASKED: usize = 60;
    let wanted: BTreeSet<String> = endpoints.iter().map(|name| (*name).to_owned()).collect();
    let dst = service.cluster(family);
    for pod in ["web-2", "web-3"] {
        world.asker(pod)?.netns.run(|| {
            wait_for(&format!("only {endpoints:?} at {dst}"), SOON, || {
                let answers = (0..ASKED).map(|_| Some(http::who(dst).ok()?.name));
                let answered = answers.collect::<Option<BTreeSet<_>>>()?;
                (answered == wanted).then_some(())
            })
        })?;
    }
    Ok(())
}

/// The data path goes on without its agent, and with the next one.
fn agent_killed(world: &mut World) -> Result<()> {
    let mut loads = Vec::new();
    for family in Family::BOTH {
        let load = Load::until_stopped(WEB.cluster(family), 3);
        loads.push(load.start(world.asker("web-1")?.netns)?);
        let load = Load { dst: FAR.at(world.lab.node(1), family), ..load };
        loads.push(load.start(world.lab.external().netns())?);
    }
    loads.iter().try_for_each(|load| load.wait_for_more(50))?;
    world.agents.remove(0).kill()?;
    loads.iter().try_for_each(|load| load.wait_for_more(200)).context("without the agent")?;
    let agent = world.start_agent(1)?;
    world.agents.insert(0, agent);
    loads.iter().try_for_each(|load| load.wait_for_more(200)).context("with the next agent")?;
    loads.into_iter().try_for_each(|load| load.stop()?.must_be_clean())
}
