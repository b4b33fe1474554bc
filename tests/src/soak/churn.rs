//! Endpoints that come and go.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    client::Shared,
    pods::{self, Pods},
    world::{SERVICES, World},
};
use crate::lab::{Dual, Family, manifests};

/// Where a Service's endpoints listen, and where none does.
pub(super) const TARGETS: u16 = 9_000;
/// A port that no pod listens at.
pub(super) const CLOSED: u16 = 8_999;

/// The endpoints of all Services, as the manifests have them.
#[derive(Debug)]
pub(super) struct Churn {
    pods: Pods,
    /// Of each Service, those of the pods that come and go.
    present: Vec<BTreeSet<u16>>,
    random: fastrand::Rng,
}

impl Churn {
    /// None of those that come and go is there yet.
    pub(super) fn new(pods: Pods, seed: u64) -> Self {
        let present = vec![BTreeSet::new(); usize::from(SERVICES)];
        Self { pods, present, random: fastrand::Rng::with_seed(seed) }
    }

    /// How many endpoints all Services have now, in one family.
    pub(super) fn endpoints(&self) -> usize {
        let staying = |service| self.pods.staying(service).count();
        let staying: usize = (0..SERVICES).map(staying).sum();
        staying + self.present.iter().map(BTreeSet::len).sum::<usize>()
    }

    /// Lets an endpoint of some Service come, or go; the Service.
    fn step(&mut self) -> u16 {
        let churned: Vec<u16> = self.pods.churned().collect();
        let service = self.random.u16(..SERVICES);
        let pod = churned[self.random.usize(..churned.len())];
        let present = &mut self.present[usize::from(service)];
        if !present.remove(&pod) {
            present.insert(pod);
        }
        service
    }

    /// Writes a Service's slices.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn write(&self, world: &World, service: u16) -> Result<()> {
        let present = &self.present[usize::from(service)];
        let pods = self.pods.staying(service).chain(present.iter().copied());
        let places = pods.map(|pod| place(world, pod)).collect::<Result<Vec<_>>>()?;
        let places: Vec<_> = places.iter().map(|(ip, node)| (*ip, node.as_str())).collect();
        let target = TARGETS + service;
        let ports = [("tcp", "TCP", target), ("udp", "UDP", target), ("closed", "UDP", CLOSED)];
        let name = super::world::name(service);
        let slice = |family| manifests::slice(&name, family, &places, &ports);
        let text = Family::BOTH.map(slice).join("---\n");
        world.manifests.write(&format!("slices-{name}"), &text)
    }

    /// Changes `a_second` endpoints a second for `time`, or until the clients are stopped; how many
    /// it has changed. Changes that are late are made up for.
    ///
    /// # Errors
    /// As [`Churn::write`].
    pub(super) fn run(
        &mut self,
        world: &World,
        (a_second, time): (u32, Duration),
        shared: &Shared,
    ) -> Result<u64> {
        let (began, mut changes) = (Instant::now(), 0_u64);
        while began.elapsed() < time && !shared.is_stopped() {
            let due = began.elapsed().as_millis() * u128::from(a_second) / 1_000;
            if u128::from(changes) >= due {
                thread::park_timeout(Duration::from_millis(2));
                continue;
            }
            let service = self.step();
            self.write(world, service)?;
            changes += 1;
        }
        Ok(changes)
    }
}

/// A pod's addresses, and its node's name.
fn place(world: &World, pod: u16) -> Result<(Dual, String)> {
    let node = world.lab.node(pods::node_of(pod));
    let found = node.pod(&pods::name(pod)).context("a pod of the soak")?;
    Ok((found.ip, node.name.clone()))
}
