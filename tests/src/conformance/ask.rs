//! Clients that ask.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    panic, thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    objects::Addresses,
    scenario::{Frontend, Place, Scenario, Server},
    seen::{Names, Seen},
    world::{CLIENT, World},
};
use crate::{
    lab::{Dual, Family, Netns, wait_for},
    traffic::{
        conversation::Conversation,
        probe::{self, Outcome, Protocol},
    },
};

/// How often a frontend is asked: of two endpoints one stays unseen once in some ten million times.
const TRIES: usize = 24;

const LOCALHOST: Dual = Dual { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST };

/// The endpoint that asks itself.
const NEAR: &str = Server::Near.place().0;

/// For how long a conversation is watched after a change.
const WATCH: Duration = Duration::from_secs(2);

/// Asks until something becomes of the conversation other than the same answer as at first.
fn settled(conversation: &mut Conversation) -> Result<Outcome> {
    let first = probe::converse(conversation)?;
    if !matches!(first, Outcome::Answered { .. }) {
        return Ok(first);
    }
    let other = wait_for("another answer", WATCH, || {
        probe::converse(conversation).ok().filter(|next| *next != first)
    });
    Ok(other.unwrap_or(first))
}

impl World {
    /// All protocols and families at once: what waits for silence waits once.
    pub(super) fn see(&self, scenario: &Scenario, number: u8) -> Result<Seen> {
        let by = |protocol: &Protocol| Family::BOTH.map(|family| (*protocol, family));
        let variants: Vec<_> = scenario.protocols.iter().flat_map(by).collect();
        let told: Vec<Result<BTreeSet<Outcome>>> = thread::scope(|scope| {
            let ask = |(protocol, family)| move || self.ask(scenario, number, protocol, family);
            let asking: Vec<_> = variants.iter().map(|one| scope.spawn(ask(*one))).collect();
            let told = asking.into_iter().map(thread::ScopedJoinHandle::join);
            told.map(|told| told.unwrap_or_else(|panic| panic::resume_unwind(panic))).collect()
        });
        let names = self.names(scenario.from);
        // Which of several endpoints it is, chance says.
        let pinned = scenario.service.affinity && scenario.endpoints.len() > 1;
        let mut seen = Seen::default();
        for ((protocol, family), told) in variants.iter().zip(told) {
            let told = told.with_context(|| scenario.name)?;
            seen.add(*protocol, *family, &told, pinned, &names);
        }
        Ok(seen)
    }

    fn ask(
        &self,
        scenario: &Scenario,
        number: u8,
        protocol: Protocol,
        family: Family,
    ) -> Result<BTreeSet<Outcome>> {
        if protocol.is_held() {
            return self.ask_again(scenario, number, protocol, family);
        }
        let frontends = scenario.to.iter();
        let told: Result<Vec<_>> = frontends
            .map(|to| self.ask_from(scenario.from, protocol, self.address(number, *to, family)))
            .collect();
        Ok(told?.into_iter().flatten().collect())
    }

    /// Opens a conversation with the first frontend, or goes on with the one that is open.
    fn ask_again(
        &self,
        scenario: &Scenario,
        number: u8,
        protocol: Protocol,
        family: Family,
    ) -> Result<BTreeSet<Outcome>> {
        let key = (number, protocol, family.name());
        if let Some(mut open) = self.held().remove(&key) {
            return Ok(BTreeSet::from([settled(&mut open)?]));
        }
        let to = scenario.to.first().context("no frontend")?;
        let dst = self.address(number, *to, family);
        let open = || Conversation::open(protocol, dst).context("conversation");
        let mut conversation = self.client(scenario.from)?.run(open)?;
        let outcome = probe::converse(&mut conversation)?;
        self.held().insert(key, conversation);
        Ok(BTreeSet::from([outcome]))
    }

    /// Processes of nodes and pods are in their node's control group, as a kubelet puts them.
    fn ask_from(
        &self,
        place: Place,
        protocol: Protocol,
        dst: SocketAddr,
    ) -> Result<BTreeSet<Outcome>> {
        let (node, netns) = (self.lab.node(1), self.client(place)?);
        if place == Place::Outside {
            return netns.run(|| probe::ask(protocol, dst, TRIES));
        }
        let (tries, dst) = (TRIES.to_string(), dst.to_string());
        let told = node.lab_tool(netns, &["probe", protocol.name(), "--tries", &tries, &dst])?;
        serde_json::from_str(&told).context("lab-tool: not its output")
    }

    /// Where a client's sockets are.
    fn client(&self, place: Place) -> Result<&Netns> {
        let node = self.lab.node(1);
        match place {
            Place::Outside => Ok(self.lab.on_lan().netns()),
            Place::Host => Ok(node.netns()),
            Place::Pod => node.pod(CLIENT)?.netns(),
            Place::Endpoint => node.pod(NEAR)?.netns(),
        }
    }

    pub(super) fn address(&self, number: u8, frontend: Frontend, family: Family) -> SocketAddr {
        let (at, node) = (Addresses::of(number), self.lab.node(1).ip);
        let (ip, port) = match frontend {
            Frontend::Localhost => (LOCALHOST, at.node_port()),
            Frontend::HealthCheck => (node, at.health_port()),
            _ => at.at(frontend).unwrap_or((node, at.node_port())),
        };
        ip.socket(family, port)
    }

    /// Names of the addresses that servers may see; the client's own goes before its node's.
    fn names(&self, place: Place) -> Names {
        let nodes = self.lab.nodes.iter().map(|node| (node.ip, node.name.as_str()));
        let node = self.lab.node(1);
        let pod = |name| node.pods.iter().find(|pod| pod.name == name).map(|pod| pod.ip);
        let own = match place {
            Place::Outside => Some(self.lab.on_lan().ip),
            Place::Host => Some(node.ip),
            Place::Pod => pod(CLIENT),
            Place::Endpoint => pod(NEAR),
        };
        let all = nodes.chain(own.map(|ip| (ip, "the client")));
        let both = |(ip, name): (Dual, &str)| Family::BOTH.map(|f| (ip.ip(f), name.to_owned()));
        all.flat_map(both).collect()
    }
}
