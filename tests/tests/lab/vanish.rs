//! Endpoints that go without a word: what becomes of those who talk to them.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use svclb_tests::{
    lab::{Family, SOON, wait_for},
    suite::ensure_prompt,
    traffic::udp,
};

use crate::{
    custom::{Custom, Fields},
    scenario::Scenario,
    talk::{Talk, listen},
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("clients_of_a_killed_endpoint_are_reset_within_a_second", killed).few(),
    Scenario::per_family("both_ends_are_reset_when_an_endpoint_leaves_the_slices", left).few(),
    Scenario::per_family("connections_to_a_terminating_endpoint_go_on", terminating).few(),
    Scenario::per_family("connections_outlive_their_service", unpublished).few(),
    Scenario::per_family("udp_clients_of_a_killed_endpoint_reach_another_at_once", datagrams).few(),
    Scenario::per_family("a_udp_flow_goes_with_its_frontend", without_frontend).few(),
];

/// One endpoint on each node.
const NEAR: Custom = Custom::new("vanish-near", 50);
const FAR: Custom = Custom::new("vanish-far", 51);
const VICTIMS: [(u8, &str, Custom); 2] = [(1, "victim-1", NEAR), (2, "victim-2", FAR)];

/// How long nobody hears anything while all is well: longer than a pass over the flow table waits.
const QUIET: Duration = Duration::from_millis(800);

fn served_by<'a>(endpoints: &'a [&'a str]) -> Fields<'a> {
    Fields { endpoints, ..Fields::default() }
}

/// Runs a scenario with a pod on each node that is the only endpoint of a Service; the pods serve
/// by themselves, or leave that to the scenario.
fn with_victims(
    world: &mut World,
    serve: bool,
    run: impl FnOnce(&mut World) -> Result<()>,
) -> Result<()> {
    let result = add_victims(world, serve).and_then(|()| {
        let _near = NEAR.publish(world, served_by(&["victim-1"]))?;
        let _far = FAR.publish(world, served_by(&["victim-2"]))?;
        run(world)
    });
    for (n, name, _) in VICTIMS {
        world.lab.node_mut(n).remove_pod(name);
    }
    result
}

fn add_victims(world: &mut World, serve: bool) -> Result<()> {
    for (n, name, _) in VICTIMS {
        let node = world.lab.node_mut(n);
        match serve {
            true => node.add_pod(name, &[PORT])?,
            false => node.add_client_pod(name)?,
        };
    }
    Ok(())
}

/// What the endpoints listen with.
fn listeners(world: &World, family: Family) -> Result<[TcpListener; 2]> {
    Ok([listen(world, "victim-1", family)?, listen(world, "victim-2", family)?])
}

/// A pod talks to both ClusterIPs, and a client outside to the remote endpoint at a NodePort.
fn talks(world: &World, listeners: &[TcpListener; 2], family: Family) -> Result<Vec<Talk>> {
    let (pod, [outside, _], [near, far]) = (world.asker("web-2")?, world.outsiders(), listeners);
    let node_port = FAR.at(world.lab.node(1), family);
    Ok(vec![
        Talk::begin(pod, NEAR.cluster(family), near)?,
        Talk::begin(pod, FAR.cluster(family), far)?,
        Talk::begin(outside, node_port, far)?,
    ])
}

/// Leaves both Services to other endpoints.
fn replace(world: &World) -> Result<()> {
    VICTIMS.iter().try_for_each(|(.., service)| service.change(world, served_by(&["web-1"])))
}

/// Cuts the links of both endpoints: nothing that they say is heard any more.
fn cut(world: &World) -> Result<()> {
    VICTIMS.iter().try_for_each(|(n, name, _)| {
        let device = world.pod(name)?.device();
        world.lab.node(*n).netns().ip(format!("link set {device} down\n"))
    })
}

/// Whoever waits for an answer hears of it as soon as whoever sends.
fn killed(world: &mut World, family: Family) -> Result<()> {
    with_victims(world, false, |world| {
        let listeners = listeners(world, family)?;
        let (idle, busy) = (talks(world, &listeners, family)?, talks(world, &listeners, family)?);
        cut(world)?;
        let all = idle.into_iter().map(|talk| (talk, false));
        let all = all.chain(busy.into_iter().map(|talk| (talk, true)));
        let clients: Vec<_> = all
            .map(|(talk, sends)| {
                let [client, endpoint] = talk.into_ends();
                (client.await_reset(sends), endpoint)
            })
            .collect();
        replace(world)?;
        let changed = Instant::now();
        for (client, _endpoint) in clients {
            ensure_prompt("a client's reset", client.came()?.saturating_duration_since(changed))?;
        }
        Ok(())
    })
}

/// An endpoint that is there all the same hears of it, too. Who talks to others does not.
fn left(world: &mut World, family: Family) -> Result<()> {
    with_victims(world, false, |world| {
        let listeners = listeners(world, family)?;
        let (over, stays) = (talks(world, &listeners, family)?, world.asker("web-2")?);
        let stays = Talk::begin(stays, NEAR.cluster(family), &listeners[0])?;
        FAR.change(world, served_by(&["web-1"]))?;
        let [near, far @ ..] = <[Talk; 3]>::try_from(over).ok().context("three talks")?;
        let ends = far.map(|talk| talk.into_ends().map(|end| end.await_reset(false)));
        let changed = Instant::now();
        for end in ends.into_iter().flatten() {
            ensure_prompt("an end's reset", end.came()?.saturating_duration_since(changed))?;
        }
        [near, stays].into_iter().try_for_each(|mut talk| talk.go_on())
    })
}

/// An endpoint that is listed still has its connections, whatever its conditions.
fn terminating(world: &mut World, family: Family) -> Result<()> {
    with_victims(world, false, |world| {
        let listeners = listeners(world, family)?;
        let mut talks = talks(world, &listeners, family)?;
        for serving in ["true", "false"] {
            let now =
                format!("conditions: {{ready: false, serving: {serving}, terminating: true}}");
            for (_, name, service) in VICTIMS {
                let edit = |text: String| text.replace("conditions: {ready: true}", &now);
                service.change_text(world, served_by(&[name]), edit)?;
            }
            for talk in &mut talks {
                talk.is_quiet_for(QUIET / 4)?;
                talk.go_on()?;
            }
        }
        Ok(())
    })
}

/// That nobody may ask for a Service any more says nothing of its pods.
fn unpublished(world: &mut World, family: Family) -> Result<()> {
    with_victims(world, false, |world| {
        let listeners = listeners(world, family)?;
        let mut talks = talks(world, &listeners, family)?;
        for (.., service) in VICTIMS {
            world.manifests.remove(service.name)?;
            wait_for(&format!("no frontend of {}", service.name), SOON, || {
                let asked = ["get", "services", service.name, "-o", "json"];
                let rows: Value =
                    serde_json::from_str(&world.lab.node(1).svclb(&asked).ok()?).ok()?;
                let gone = |row: &Value| row["frontends"].as_array().is_some_and(Vec::is_empty);
                rows.as_array()?.iter().all(gone).then_some(())
            })?;
        }
        talks.iter().try_for_each(|talk| talk.is_quiet_for(QUIET / 4))?;
        talks.iter_mut().try_for_each(Talk::go_on)
    })
}

/// A client keeps its socket, and so its port; without an endpoint, it is refused.
fn datagrams(world: &mut World, family: Family) -> Result<()> {
    with_victims(world, true, |world| {
        let (pod, [outside, _]) = (world.asker("web-2")?, world.outsiders());
        let node_port = FAR.at(world.lab.node(1), family);
        let dsts = [(pod, NEAR.cluster(family)), (pod, FAR.cluster(family)), (outside, node_port)];
        let mut clients = Vec::new();
        for (asker, dst) in dsts {
            let mut client = asker.netns.run(|| udp::Client::new(dst, None))?;
            let name = client.ask(udp::SMALLEST).with_context(|| format!("{dst}"))?;
            ensure!(name.starts_with("victim-"), "{name} answered at {dst}");
            clients.push((client, dst));
        }
        cut(world)?;
        replace(world)?;
        for (client, dst) in &mut clients {
            let name = client.ask(udp::SMALLEST).with_context(|| format!("{dst}"))?;
            ensure!(name == "web-1", "{name} answered at {dst}");
        }
        for (.., service) in VICTIMS {
            service.change(world, served_by(&[]))?;
        }
        for (client, dst) in &mut clients {
            let told = client.ask(udp::SMALLEST).err().map(|error| format!("{error:#}"));
            let told = told.with_context(|| format!("somebody answers at {dst}"))?;
            ensure!(told.contains("refused"), "{dst}: {told}");
        }
        Ok(())
    })
}

/// A Service that gives up a port serves nobody there any more, though its endpoint is there.
fn without_frontend(world: &mut World, family: Family) -> Result<()> {
    let _published = NEAR.publish(world, served_by(&["web-1"]))?;
    let (outside, dst) = (world.outsiders()[0], NEAR.at(world.lab.node(1), family));
    let mut client = outside.netns.run(|| udp::Client::new(dst, None))?;
    client.ask(udp::SMALLEST).with_context(|| format!("{dst}"))?;
    let other = format!("nodePort: {}", NEAR.node_port() + 40);
    let own = format!("nodePort: {}", NEAR.node_port());
    NEAR.change_text(world, served_by(&["web-1"]), |text| text.replace(&own, &other))?;
    wait_for(&format!("{dst} not to answer"), SOON, || client.ask(udp::SMALLEST).err())?;
    Ok(())
}
