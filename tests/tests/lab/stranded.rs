//! Processes whose sockets were given an endpoint that goes.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Dual, Family, Netns, SOON, manifests::slice, wait_for},
    suite::ensure_prompt,
    traffic::{
        peer::{How, Told},
        wait::Wait,
    },
};

use crate::{
    custom::{Custom, Fields},
    scenario::Scenario,
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("host_sockets_are_closed_when_their_endpoint_goes", closed).few(),
    Scenario::per_family("host_connects_are_given_up_when_their_endpoint_goes", given_up).few(),
    Scenario::per_family("host_sockets_are_closed_by_the_next_agent", next_agent).few(),
    Scenario::per_family("host_datagrams_are_refused_when_the_last_endpoint_goes", datagrams).few(),
    Scenario::per_family("sockets_of_pods_are_closed_when_they_are_translated", of_pods).few(),
];

const SERVICE: Custom = Custom::new("stranded", 91);
/// How long a process waits at most that should hear something.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one waits that should hear nothing.
const QUIET: Duration = Duration::from_secs(6);

fn served_by<'a>(endpoints: &'a [&'a str]) -> Fields<'a> {
    Fields { endpoints, ..Fields::default() }
}

/// How a wait has ended, and when.
type Ended = (String, Instant);

/// Processes of node 1's control group in `netns` wait, each for its peer, while `change` is made;
/// how each has ended. The change begins when the hooks have translated so many of them.
fn while_waiting(
    world: &World,
    netns: &Netns,
    waits: &[(Wait, SocketAddr, Duration)],
    translated: u64,
    change: impl FnOnce() -> Result<()>,
) -> Result<Vec<Ended>> {
    let node = world.lab.node(1);
    let before = node.outcome("socket_connected")?;
    let wait = |how: Wait, to: SocketAddr, patience: Duration| {
        let (to, patience) = (to.to_string(), patience.as_millis().to_string());
        let told = node.lab_tool(netns, &["wait", how.name(), "--patience", &patience, &to])?;
        Ok((told.trim().to_owned(), Instant::now()))
    };
    thread::scope(|scope| {
        let all: Vec<_> = waits
            .iter()
            .map(|(how, to, patience)| scope.spawn(move || wait(*how, *to, *patience)))
            .collect();
        let connected = wait_for("the sockets to be connected", SOON, || {
            node.outcome("socket_connected")
                .is_ok_and(|now| now >= before + translated)
                .then_some(())
        });
        let changed = connected.and_then(|()| change());
        let ended = all
            .into_iter()
            .map(|wait| wait.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let ended: Result<Vec<Ended>> = ended.collect();
        changed.and(ended)
    })
}

fn was_closed((how, at): &Ended, since: Instant) -> Result<()> {
    ensure!(how == "ConnectionAborted", "ended by {how}");
    ensure_prompt("closing", at.saturating_duration_since(since))
}

/// TCP and UDP through the Service are closed, a connection to the same pod by its own address goes
/// on.
fn closed(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, served_by(&["web-1"]))?;
    let (frontend, pod) = (SERVICE.cluster(family), world.pod("web-1")?.socket(family));
    let waits =
        [(Wait::Tcp, frontend, PATIENCE), (Wait::Udp, frontend, PATIENCE), (Wait::Tcp, pod, QUIET)];
    let mut changed = Instant::now();
    let ended = while_waiting(world, world.lab.node(1).netns(), &waits, 2, || {
        changed = Instant::now();
        SERVICE.change(world, served_by(&["web-3"]))
    })?;
    was_closed(&ended[0], changed).context("TCP")?;
    was_closed(&ended[1], changed).context("UDP")?;
    ensure!(ended[2].0 == "WouldBlock", "the direct connection has ended by {}", ended[2].0);
    Ok(())
}

/// A machine that takes packets and says nothing: a client on the LAN, asked for another's address.
struct Silent<'a> {
    node: &'a Netns,
    ip: Dual,
}

impl<'a> Silent<'a> {
    fn beyond(world: &'a World) -> Result<Self> {
        let ip = Dual {
            v4: "198.18.91.1".parse().context("an address")?,
            v6: "2001:db8:91::1".parse().context("an address")?,
        };
        let silent = Self { node: world.lab.node(1).netns(), ip };
        let via = world.lab.on_lan().ip;
        silent.node.ip(format!(
            "route add {} via {}\nroute add {} via {}\n",
            ip.v4, via.v4, ip.v6, via.v6
        ))?;
        Ok(silent)
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // The namespace goes with the lab.
        let _ = self.node.ip(format!("route del {}\nroute del {}\n", self.ip.v4, self.ip.v6));
    }
}

fn given_up(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, Fields::default())?;
    let silent = Silent::beyond(world)?;
    let node = &world.lab.node(2).name;
    // A slice beside those of the scenario's own.
    let extra = slice(SERVICE.name, family, &[(silent.ip, node)], &[("http", "TCP", PORT)]);
    // The Service's own slices have that name.
    let extra = extra.replacen(SERVICE.name, "stranded-silent", 1);
    world.manifests.write("stranded-silent", &extra)?;
    let result = (|| {
        SERVICE.change(world, Fields::default())?;
        let mut changed = Instant::now();
        let waits = [(Wait::Connect, SERVICE.cluster(family), PATIENCE)];
        let ended = while_waiting(world, world.lab.node(1).netns(), &waits, 1, || {
            changed = Instant::now();
            world.manifests.write("stranded-silent", "")
        })?;
        was_closed(&ended[0], changed)
    })();
    world.manifests.remove("stranded-silent")?;
    result
}

/// The endpoint goes while no agent runs.
fn next_agent(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, served_by(&["web-1"]))?;
    world.agents.remove(0).terminate()?;
    let mut started = None;
    let frontend = SERVICE.cluster(family);
    let waits = [(Wait::Tcp, frontend, PATIENCE), (Wait::Udp, frontend, PATIENCE)];
    let ended = while_waiting(world, world.lab.node(1).netns(), &waits, 2, || {
        SERVICE.write(world, served_by(&["web-3"]))?;
        started = Some(world.start_agent(1)?);
        Ok(())
    });
    let agent = started.map_or_else(|| world.start_agent(1), Ok)?;
    world.agents.insert(0, agent);
    for (how, _) in ended? {
        ensure!(how == "ConnectionAborted", "ended by {how}");
    }
    Ok(())
}

/// A socket that is not connected needs no closing: its next datagram is decided anew.
fn datagrams(world: &mut World, family: Family) -> Result<()> {
    let _published = SERVICE.publish(world, served_by(&["web-1"]))?;
    let (node, dst) = (world.lab.node(1), SERVICE.cluster(family).to_string());
    let before = node.outcome("socket_sent")?;
    let arguments = ["ask", "datagram", "--rounds", "400", "--pause", "10", &dst];
    let told = thread::scope(|scope| {
        let asking = scope.spawn(|| node.lab_tool(node.netns(), &arguments));
        let asked = wait_for("questions", SOON, || {
            node.outcome("socket_sent").is_ok_and(|now| now >= before + 10).then_some(())
        });
        let changed = asked.and_then(|()| SERVICE.change(world, Fields::default()));
        let told = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        changed.map(|()| told)
    })?;
    let Err(error) = told else { anyhow::bail!("somebody answers") };
    ensure!(format!("{error:#}").contains("os error 111"), "not refused: {error:#}");
    let told: Vec<Told> = {
        SERVICE.change(world, served_by(&["web-3"]))?;
        node.ask(How::Datagram, &[SERVICE.cluster(family)])?
    };
    ensure!(told[0].name == "web-3", "{} answered", told[0].name);
    Ok(())
}

/// With `--socket-hooks all`, those of pods, too.
fn of_pods(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--socket-hooks", "all"])?;
    let run = |world: &World| {
        let _published = SERVICE.publish(world, served_by(&["web-1"]))?;
        let frontend = SERVICE.cluster(family);
        let waits = [(Wait::Tcp, frontend, PATIENCE), (Wait::Udp, frontend, PATIENCE)];
        let mut changed = Instant::now();
        let ended = while_waiting(world, world.pod("web-2")?.netns()?, &waits, 2, || {
            changed = Instant::now();
            SERVICE.change(world, served_by(&["web-3"]))
        })?;
        ended.iter().try_for_each(|ended| was_closed(ended, changed))
    };
    let result = run(world);
    world.restart_agent(1, &[])?;
    result
}
