//! A rolling replacement of all of a Service's endpoints, as a Deployment does it, under load.

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, SOON, wait_for},
    traffic::load::{Load, Running},
};

use crate::{
    custom::{Custom, Fields, Published},
    scenario::Scenario,
    services::terminate,
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario::per_family("rolling_replacement_fails_no_request", rolling).few()];

/// How many requests at least, over all loads; more by the variable.
const REQUESTS: u64 = 5_000;
const REQUESTS_VARIABLE: &str = "SVCLB_ROLLING_REQUESTS";

/// New connections a second of each load: enough to notice, not so much that the load measures
/// itself.
const RATE: u32 = 150;
/// Requests on each connection.
const PER_CONNECTION: u32 = 3;

/// The same endpoints under both policies.
const CLUSTER: Custom = Custom::new("rolling", 52);
const LOCAL: Custom = Custom::new("rolling-local", 53);
const EXTERNAL_LOCAL: &str = "externalTrafficPolicy: Local";

fn wanted() -> Result<u64> {
    match env::var(REQUESTS_VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{REQUESTS_VARIABLE}={text}")),
        Err(_) => Ok(REQUESTS),
    }
}

/// The endpoints of both Services: the number of the node, and the pod's name.
struct Fleet {
    pods: Vec<(u8, String)>,
    made: usize,
    published: Vec<Published>,
}

impl Fleet {
    /// An endpoint on each node.
    fn start(world: &mut World) -> Result<Self> {
        let mut fleet = Self { pods: Vec::new(), made: 0, published: Vec::new() };
        for node in [1, 2] {
            let pod = fleet.make(world, node)?;
            fleet.pods.push((node, pod));
        }
        let publish = |service: Custom| service.publish(world, fields(&service, &fleet.names()));
        fleet.published = [CLUSTER, LOCAL].into_iter().map(publish).collect::<Result<_>>()?;
        Ok(fleet)
    }

    /// A pod that serves.
    fn make(&mut self, world: &mut World, node: u8) -> Result<String> {
        let name = format!("rolling-{}", self.made);
        self.made += 1;
        world.lab.node_mut(node).add_pod(&name, &[PORT])?;
        Ok(name)
    }

    fn names(&self) -> Vec<&str> {
        self.pods.iter().map(|(_, name)| &**name).collect()
    }

    /// Replaces the oldest endpoint: the new one is ready before the old one terminates, which
    /// serves on until its last connection has ended.
    fn replace_one(&mut self, world: &mut World, loads: &[Running]) -> Result<()> {
        let (node, old) = self.pods.first().cloned().context("a fleet has pods")?;
        let new = self.make(world, node)?;
        self.pods.push((node, new));
        self.publish(world, None)?;
        self.publish(world, Some(&old))?;
        drained(world, &old)?;
        self.pods.remove(0);
        self.publish(world, None)?;
        world.lab.node_mut(node).remove_pod(&old);
        loads.iter().try_for_each(|load| load.wait_for_more(10))
    }

    /// Writes the endpoints of both Services, one of them perhaps as terminating.
    fn publish(&self, world: &World, terminating: Option<&str>) -> Result<()> {
        let names = self.names();
        let ends = terminating.map(|name| world.pod(name).map(|pod| pod.ip)).transpose()?;
        let mark = |text: String| match ends {
            Some(ip) => terminate(&text, ip),
            None => text,
        };
        let publish = |service: &Custom| service.change_text(world, fields(service, &names), mark);
        [CLUSTER, LOCAL].iter().try_for_each(publish)
    }

    fn end(self, world: &mut World) {
        for (node, pod) in &self.pods {
            world.lab.node_mut(*node).remove_pod(pod);
        }
    }
}

fn fields<'a>(service: &Custom, endpoints: &'a [&'a str]) -> Fields<'a> {
    let spec: &[&str] = if service.name == LOCAL.name { &[EXTERNAL_LOCAL] } else { &[] };
    Fields { spec, endpoints, ..Fields::default() }
}

/// Waits until nobody is connected to the pod any more.
fn drained(world: &World, pod: &str) -> Result<()> {
    let netns = world.pod(pod)?.netns()?;
    wait_for(&format!("{pod} to be left"), SOON, || {
        netns.run(connections).ok().filter(|connections| *connections == 0)
    })?;
    Ok(())
}

/// How many clients the server of this thread's namespace has: `proc_net_tcp` of the kernel's
/// documentation.
fn connections() -> Result<usize> {
    const ESTABLISHED: &str = "01";
    let local = format!(":{PORT:04X}");
    let is_client = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let at_port = fields.next().is_some_and(|own| own.ends_with(&local));
        at_port && fields.nth(1) == Some(ESTABLISHED)
    };
    let count = |table| -> Result<usize> {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
        Ok(text.lines().filter(is_client).count())
    };
    Ok(count("tcp")? + count("tcp6")?)
}

fn loads(world: &World, family: Family) -> Result<Vec<Running>> {
    let http = |dst| Load { rate: Some(RATE), ..Load::until_stopped(dst, PER_CONNECTION) };
    let (pod, outside) = (world.asker("web-2")?.netns, world.lab.external().netns());
    let [first, second] = [1, 2].map(|n| world.lab.node(n));
    Ok(vec![
        http(CLUSTER.cluster(family)).start(pod)?,
        http(CLUSTER.at(first, family)).start(outside)?,
        http(LOCAL.at(first, family)).start(outside)?,
        http(LOCAL.at(second, family)).start(outside)?,
        Load { udp: true, ..http(CLUSTER.cluster(family)) }.start(pod)?,
    ])
}

fn rolling(world: &mut World, family: Family) -> Result<()> {
    let mut fleet = Fleet::start(world)?;
    let result = replace_all(world, &mut fleet, family);
    fleet.end(world);
    result
}

/// Replaces all endpoints, again and again until there were requests enough.
fn replace_all(world: &mut World, fleet: &mut Fleet, family: Family) -> Result<()> {
    let (wanted, loads) = (wanted()?, loads(world, family)?);
    let asked = |loads: &[Running]| -> u64 {
        loads.iter().map(|load| load.ended() * u64::from(PER_CONNECTION)).sum()
    };
    let mut replaced = 0;
    let replacing = loop {
        if replaced >= fleet.pods.len() && asked(&loads) >= wanted {
            break Ok(());
        }
        if let Err(error) = fleet.replace_one(world, &loads) {
            break Err(error);
        }
        replaced += 1;
    };
    let mut answered = 0;
    for load in loads {
        let report = load.stop()?;
        report.must_be_clean().with_context(|| format!("{replaced} endpoints replaced"))?;
        answered += report.answered;
    }
    println!("{}: {answered} requests, {replaced} endpoints replaced", world.lab.preset);
    ensure!(replacing.is_err() || answered >= wanted, "{answered} requests of {wanted}");
    replacing
}
