//! Many connections: fair shares, short lives, and changes while they run.

use std::{collections::BTreeSet, net::TcpStream, time::Duration};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Agent, Family, Node, SOON, wait_for},
    traffic::{http, load::Load},
};

use crate::{
    scenario::Scenario,
    services::{CHANGING, FAR, Service, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("shares_are_fair", shares_are_fair),
    Scenario::per_family("short_connections_from_one_client", short_connections)
        .only(|preset| preset.hostile.is_none()),
    Scenario::per_family("endpoints_change_under_load", endpoints_change),
    Scenario::once("agent_killed_under_load", agent_killed),
    // A hostile node's own rules masquerade first, with all the ports that netfilter has.
    Scenario::per_family("full_masquerade_range", full_masquerade_range)
        .only(|preset| preset.hostile.is_none()),
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
    let (client, dst) = (world.lab.external(), FAR.at(world.lab.node(1), family));
    let source = Some(client.ip.socket(family, 12_000));
    let load = Load { source, ..Load::http(dst, 20_000) };
    let report = client.netns().run(|| load.run())?;
    println!("{}: 20,000 short connections: {:?}", world.lab.preset, report.latency);
    report.must_be_clean()
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
        // Who has to go serves its connections on.
        let ending: Vec<_> =
            WEB.endpoints.iter().copied().filter(|name| !endpoints.contains(name)).collect();
        CHANGING.write_slices_with(&world.lab, &world.manifests, endpoints, &ending)?;
        wait_until_only(world, &CHANGING, family, endpoints)?;
        loads.iter().try_for_each(|load| load.wait_for_more(100))?;
    }
    loads.into_iter().try_for_each(|load| load.stop()?.must_be_clean())?;
    CHANGING.write_slices(&world.lab, &world.manifests, CHANGING.endpoints)
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

/// With every port towards an endpoint in use, one more client is counted and waits; when a
/// connection ends, its port serves again.
fn full_masquerade_range(world: &mut World, family: Family) -> Result<()> {
    const PORTS: &str = "29900-29999";
    world.agents.remove(0).terminate()?;
    let agent =
        Agent::start(world.lab.node(1), world.manifests.folder(), &["--masquerade-ports", PORTS])?;
    let full = world.lab.external().netns().run(|| fill(world.lab.node(1), family));
    agent.terminate()?;
    let agent = world.start_agent(1)?;
    world.agents.insert(0, agent);
    full
}

fn fill(node: &Node, family: Family) -> Result<()> {
    const REFUSED_AFTER: Duration = Duration::from_millis(300);
    let dst = FAR.at(node, family);
    let before = node.outcome("masq_ports_full")?;
    let open = || TcpStream::connect_timeout(&dst, SOON);
    let mut held = (0..100).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    ensure!(TcpStream::connect_timeout(&dst, REFUSED_AFTER).is_err(), "101 ports out of 100");
    ensure!(node.outcome("masq_ports_full")? > before, "a full range is not counted");
    held.pop();
    // A lost SYN is sent again only after a second: ask anew.
    wait_for("a port to serve again", SOON, || {
        TcpStream::connect_timeout(&dst, REFUSED_AFTER).ok()
    })?;
    Ok(())
}
