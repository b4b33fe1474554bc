//! Clients that ask.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    panic, thread,
};

use anyhow::{Context as _, Result};

use super::{
    objects::Addresses,
    scenario::{Frontend, Place, Scenario, Server},
    seen::{Names, Seen},
    world::{CLIENT, World},
};
use crate::{
    lab::{Dual, Family},
    traffic::probe::{self, Outcome, Protocol},
};

/// How often a frontend is asked: of two endpoints one stays unseen once in some ten million times.
const TRIES: usize = 24;

const LOCALHOST: Dual = Dual { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST };

/// The endpoint that asks itself.
const NEAR: &str = Server::Near.place().0;

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
        let frontends = scenario.to.iter();
        let told: Result<Vec<_>> = frontends
            .map(|to| self.ask_from(scenario.from, protocol, self.address(number, *to, family)))
            .collect();
        Ok(told?.into_iter().flatten().collect())
    }

    /// Processes of nodes and pods are in their node's control group, as a kubelet puts them.
    fn ask_from(
        &self,
        place: Place,
        protocol: Protocol,
        dst: SocketAddr,
    ) -> Result<BTreeSet<Outcome>> {
        let node = self.lab.node(1);
        let netns = match place {
            Place::Outside => {
                let outside = self.lab.on_lan().netns();
                return outside.run(|| probe::ask(protocol, dst, TRIES));
            }
            Place::Host => node.netns(),
            Place::Pod => node.pod(CLIENT)?.netns()?,
            Place::Endpoint => node.pod(NEAR)?.netns()?,
        };
        let (tries, dst) = (TRIES.to_string(), dst.to_string());
        let told = node.lab_tool(netns, &["probe", protocol.name(), "--tries", &tries, &dst])?;
        serde_json::from_str(&told).context("lab-tool: not its output")
    }

    pub(super) fn address(&self, number: u8, frontend: Frontend, family: Family) -> SocketAddr {
        let (at, node) = (Addresses::of(number), self.lab.node(1).ip);
        let own = if frontend == Frontend::Localhost { LOCALHOST } else { node };
        let (ip, port) = at.at(frontend).unwrap_or((own, at.node_port()));
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
