//! How svclb comes, stays and goes.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use svclb_tests::{
    lab::{Family, Node, SOON, wait_for},
    traffic::{block_on, http, http::Connection},
};

use crate::{
    scenario::Scenario,
    services::{FAR, NEAR, WEB},
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::once("new_devices_are_attached_soon", new_devices),
    Scenario::per_family("new_pods_first_connection_works", first_connection),
    Scenario::once("connections_survive_a_restart", restart),
    Scenario::once("foreign_programs_still_run", foreign_programs)
        .only(|preset| preset.hostile.is_some()),
    Scenario::once("unload_leaves_nothing", unload),
];

/// How long an announced device may be without its hooks. The target is 20 ms at the 99th
/// percentile on an idle machine; tests run on busy ones.
const ATTACHED_WITHIN: Duration = Duration::from_millis(500);

fn new_devices(world: &mut World) -> Result<()> {
    const DEVICES: usize = 50;
    let node = world.lab.node(1).netns();
    let mut taken = Vec::new();
    for i in 0..DEVICES {
        node.ip(format!("link add late{i} type veth peer name later{i}"))?;
        let start = Instant::now();
        let what = format!("hooks on late{i}");
        let hooked = || [format!("late{i}"), format!("later{i}")].iter().all(|d| has_hooks(d));
        node.run(|| wait_for(&what, SOON, || hooked().then_some(())))?;
        taken.push(start.elapsed());
        node.ip(format!("link del late{i}"))?;
    }
    taken.sort_unstable();
    let (median, worst) = (taken[DEVICES / 2], taken[DEVICES - 1]);
    println!("{}: hooks on new devices after {median:?}, {worst:?} at most", world.lab.preset);
    ensure!(worst < ATTACHED_WITHIN, "hooks came after {worst:?}");
    Ok(())
}

/// Whether a device of this thread's namespace has a program of svclb's at both hooks.
fn has_hooks(device: &str) -> bool {
    [TcAttachType::Ingress, TcAttachType::Egress].into_iter().all(|hook| programs(device, hook) > 0)
}

/// How many programs of svclb's are at a hook.
fn programs(device: &str, hook: TcAttachType) -> usize {
    let Ok((_, programs)) = SchedClassifier::query_tcx(device, hook) else { return 0 };
    let own = |name: Option<&str>| name.is_some_and(|name| name.contains("gress"));
    programs.iter().filter(|program| own(program.name_as_str())).count()
}

fn first_connection(world: &mut World, family: Family) -> Result<()> {
    for i in 0..10 {
        let name = format!("new-{i}");
        let node = world.lab.node_mut(1);
        let pod = node.add_client_pod(&name)?;
        let answer = pod.netns()?.run(|| http::who(FAR.cluster(family)))?;
        ensure!(answer.client.ip() == pod.ip.ip(family), "{} seen", answer.client);
        node.remove_pod(&name);
    }
    Ok(())
}

/// An open connection outlives its agent, and the next agent takes it over.
fn restart(world: &mut World) -> Result<()> {
    for family in Family::BOTH {
        let old = world.agents.remove(0);
        let agent = {
            let (world, old) = (&*world, old);
            let dst = WEB.cluster(family);
            let kept = async {
                let mut connection = Connection::open(dst, None).await?;
                let first = connection.who().await.context("before")?;
                old.terminate()?;
                ensure!(connection.who().await.context("without the agent")? == first);
                http::Connection::open(dst, None).await?.who().await.context("a new one")?;
                let next = world.start_agent(1)?;
                ensure!(connection.who().await.context("with the next agent")? == first);
                Ok(next)
            };
            world.asker("web-1")?.netns.run(|| block_on(kept))?
        };
        world.agents.insert(0, agent);
    }
    Ok(())
}

fn foreign_programs(world: &mut World) -> Result<()> {
    for (foreign, node) in world.foreign.iter().zip(&world.lab.nodes) {
        let runs = foreign.runs()?;
        ensure!(runs.iter().all(|count| *count > 0), "{}: {runs:?} runs", node.name);
    }
    Ok(())
}

fn unload(world: &mut World) -> Result<()> {
    world.foreign.clear();
    world.agents.drain(..).try_for_each(svclb_tests::lab::Agent::terminate)?;
    for node in &world.lab.nodes {
        node.svclb(&["unload"])?;
        nothing_left(node)?;
    }
    let dst = NEAR.at(world.lab.node(1), Family::V4);
    let asked = world.lab.external().netns().run(|| Ok(std::net::TcpStream::connect(dst)))?;
    ensure!(asked.is_err(), "{dst} still answers");
    Ok(())
}

fn nothing_left(node: &Node) -> Result<()> {
    let pinned = fs::read_dir(node.bpffs()).context("bpffs")?.count();
    ensure!(pinned == 0, "{}: {pinned} entries left in bpffs", node.name);
    for device in node.netns().devices()? {
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            let left = node.netns().run(|| Ok(programs(&device, hook)))?;
            ensure!(left == 0, "{}: {device} still has {left} programs", node.name);
        }
    }
    Ok(())
}
