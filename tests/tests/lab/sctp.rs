//! SCTP between ends of the lab's own making.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use svclb_tests::{
    lab::Family,
    packet::sctp::kind,
    traffic::sctp::{Association, Server},
};

use crate::{
    client::{Asker, Source},
    custom::{Custom, Fields},
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("sctp_reaches_cluster_ip", cluster_ip).few(),
    Scenario::per_family("sctp_reaches_node_port", node_port).few(),
    Scenario::per_family("sctp_is_refused_without_endpoint", refused).few(),
    Scenario::per_family("sctp_without_a_flow_is_aborted", aborted).few(),
];

const SERVICE: Custom = Custom::new("signal", 90);

const SCTP: Fields<'_> = Fields {
    spec: &[],
    ingress: &[],
    families: &Family::BOTH,
    protocols: &["SCTP"],
    endpoints: &[],
};

/// A server in a pod.
fn serve(world: &World, pod: &str, family: Family) -> Result<Server> {
    let pod = world.pod(pod)?;
    let netns = pod.netns()?;
    netns.run(|| Server::start(&pod.name, pod.socket(family)))
}

/// An association from beginning to end: one endpoint answers, and sees the client as said.
fn asks(asker: &Asker<'_>, dst: SocketAddr, endpoint: &str, source: Source) -> Result<()> {
    let local = asker.fresh_source(dst);
    let answers = asker.netns.run(|| {
        let mut association = Association::open(local, dst)?;
        let answers = [association.who()?, association.who()?];
        association.shut_down()?;
        Ok(answers)
    });
    let what = || format!("{} asks {dst}", asker.name);
    for answer in answers.with_context(what)? {
        ensure!(answer.name == endpoint, "{}: {} answered", what(), answer.name);
        let kept = answer.client == local;
        let saw = answer.client;
        ensure!(kept == (source == Source::Kept), "{}: {source:?}, but it saw {saw}", what());
    }
    Ok(())
}

/// The endpoint on the client's node, that on another one, and the client itself.
fn cluster_ip(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, SCTP)?;
    for (client, endpoint, source) in [
        ("web-2", "web-1", Source::Kept),
        ("web-2", "web-3", Source::Kept),
        ("web-1", "web-1", Source::Masqueraded),
    ] {
        SERVICE.change(world, Fields { endpoints: &[endpoint], ..SCTP })?;
        let server = serve(world, endpoint, family)?;
        asks(&world.asker(client)?, SERVICE.cluster(family), endpoint, source)?;
        server.finish().with_context(|| format!("the server in {endpoint}"))?;
    }
    Ok(())
}

fn node_port(world: &mut World, family: Family) -> Result<()> {
    let dst = SERVICE.at(world.lab.node(1), family);
    let _published = SERVICE.publish(world, SCTP)?;
    for (endpoint, source) in [("web-1", Source::Kept), ("web-3", Source::Masqueraded)] {
        SERVICE.change(world, Fields { endpoints: &[endpoint], ..SCTP })?;
        let server = serve(world, endpoint, family)?;
        for outsider in world.outsiders() {
            asks(&outsider, dst, endpoint, source)?;
        }
        server.finish().with_context(|| format!("the server in {endpoint}"))?;
    }
    Ok(())
}

fn refused(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, SCTP)?;
    let dst = SERVICE.cluster(family);
    let asker = world.asker("web-2")?;
    let local = asker.fresh_source(dst);
    let Err(error) = asker.netns.run(|| Association::open(local, dst)) else {
        bail!("somebody answers at {dst}");
    };
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    ensure!(io == Some(ErrorKind::ConnectionRefused), "refused by: {error:#}");
    Ok(())
}

fn aborted(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, Fields { endpoints: &["web-1"], ..SCTP })?;
    let dst = SERVICE.cluster(family);
    let asker = world.asker("web-2")?;
    let local = asker.fresh_source(dst);
    let before = world.lab.node(1).outcome("sctp_no_flow")?;
    let answer = asker.netns.run(|| Association::pretend(local, dst, 0x1234_5678))?;
    ensure!(answer == kind::ABORT, "answered by chunk {answer}");
    let counted = world.lab.node(1).outcome("sctp_no_flow")? - before;
    ensure!(counted == 1, "counted {counted} times");
    Ok(())
}
