//! Drives the engine: takes changes in, writes again what failed, frees what is no longer needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use tracing::{debug, info, warn};

use super::{backoff::Backoff, health_checks::HealthChecks, housekeeper::Scan};
use crate::{
    desired::NodePortAddresses,
    metrics::Progress,
    pins::Pins,
    plan::{LiveFlows, kernel::KernelState},
    problem::Problem,
    snapshot::Change,
    source::{Noticed, kubernetes::Reporter},
    state::{self, Engine, Outcome},
    stranded::Backends,
    writer::{MapReader, maps::KernelMaps},
};

/// How long a removed entry stays at least. A packet is through the programs within microseconds.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// How soon, and then how seldom, failed operations are tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How often the flow table is read while flows keep alive what is no longer wanted. Reading takes
/// a system call a record.
const SCAN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The engine over the pinned maps.
pub(super) struct Programmer {
    engine: Engine<KernelMaps>,
    progress: Progress,
    reporter: Option<Reporter>,
    addresses: BTreeSet<IpAddr>,
    node_ports: NodePortAddresses,
    /// What `node_addrs4` and `node_addrs6` should hold.
    address_table: BTreeMap<IpAddr, u32>,
    addresses_written: bool,
    listed: bool,
    unwatched_forgotten: bool,
    written: bool,
    health_checks: HealthChecks,
    retry: Backoff,
    scan: Backoff,
}

impl Programmer {
    /// Takes over what is pinned.
    pub(super) fn adopt(
        pins: &Pins,
        options: state::Options,
        node_ports: NodePortAddresses,
        progress: Progress,
        health_checks: HealthChecks,
    ) -> Result<Self> {
        let started = Instant::now();
        let maps = KernelMaps::open(pins)?;
        let kernel = maps.read()?;
        info!(
            services = kernel.names.len(),
            frontends = kernel.frontends.len(),
            backends = kernel.backends.len(),
            micros = started.elapsed().as_micros(),
            "pinned maps read"
        );
        Ok(Self {
            engine: Engine::new(options, kernel, maps, Instant::now()),
            progress,
            reporter: None,
            addresses: BTreeSet::new(),
            node_ports,
            address_table: BTreeMap::new(),
            // What an earlier agent has left is compared with the first table.
            addresses_written: false,
            listed: false,
            unwatched_forgotten: false,
            written: false,
            health_checks,
            retry: Backoff::new(RETRY.0, RETRY.1),
            scan: Backoff::new(SCAN.0, SCAN.1),
        })
    }

    /// Tells the owners of Services what is wrong with them, from now on.
    pub(super) fn set_reporter(&mut self, reporter: Option<Reporter>) {
        self.reporter = reporter;
    }

    /// What the maps hold.
    pub(super) fn kernel(&self) -> &KernelState {
        self.engine.kernel()
    }

    /// Takes a change of the cluster in; whether the first list of Services is written.
    pub(super) fn update(&mut self, (noticed, batch): Noticed) -> bool {
        self.report(&batch.problems);
        let first = !self.listed && batch.changes.contains(&Change::Listed);
        self.listed |= first;
        let started = Instant::now();
        self.progress.noticed(&batch.changes, self.engine.snapshot(), noticed);
        let concerns_node = batch.changes.iter().any(|change| matches!(change, Change::Node(..)));
        let outcome = self.engine.apply(batch.changes, started);
        if concerns_node {
            self.follow_address_table();
        }
        self.progress.written(started.elapsed(), self.is_settled());
        self.conclude(&outcome, if first { "adopted" } else { "services updated" }, noticed);
        self.listed
    }

    /// Follows the node's addresses.
    pub(super) fn set_addresses(&mut self, addresses: BTreeSet<IpAddr>) {
        let now = Instant::now();
        self.addresses = addresses;
        self.follow_address_table();
        let outcome = self.engine.set_node_addresses(self.addresses.iter().copied().collect(), now);
        self.conclude(&outcome, "addresses of the node updated", now);
    }

    /// When to try again what could not be done.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        [self.retry.at(), self.health_checks.retry_at()].into_iter().flatten().min()
    }

    /// Tries again what could not be done.
    pub(super) fn retry(&mut self) {
        let now = Instant::now();
        match self.retry.at() {
            Some(at) if at <= now => self.write_again(now),
            _ => self.follow_health_checks(),
        }
    }

    fn write_again(&mut self, now: Instant) {
        self.write_addresses();
        let outcome = self.engine.apply([], now);
        self.progress.written(now.elapsed(), self.is_settled());
        self.conclude(&outcome, "written again", now);
    }

    /// Whether anything was written since the last time that this was asked.
    pub(super) fn take_written(&mut self) -> bool {
        std::mem::take(&mut self.written)
    }

    /// Backends that have stopped taking connections since this was last asked; all that have, if
    /// `all`.
    pub(super) fn take_left(&mut self, all: bool) -> Backends {
        let left = self.engine.take_left();
        if all { self.kernel().left().collect() } else { left }
    }

    /// Whether something waits for its last flow to end.
    pub(super) fn wants_scan(&self) -> bool {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
        let not_before = self.scan.at();
        let release = due(self.engine.next_release()) && (not_before.is_none() || due(not_before));
        release || self.wants_to_forget()
    }

    /// Frees what no flow needs.
    pub(super) fn release(&mut self, (began, live): Scan) {
        self.forget_unwatched(&live);
        let outcome = self.engine.release(began, &live);
        self.conclude(&outcome, "unused entries freed", began);
        if outcome.operations == 0 {
            self.scan.failed(Instant::now());
        }
    }

    /// Whether the maps are what they should be.
    fn is_settled(&self) -> bool {
        self.engine.is_settled() && self.addresses_written
    }

    /// Follows the node's addresses and what its object says of them.
    fn follow_address_table(&mut self) {
        let object = self.engine.snapshot().node(&self.engine.node().name);
        let table = self.node_ports.table(&self.addresses, object);
        if table != self.address_table {
            self.address_table = table;
            self.addresses_written = false;
        }
        self.write_addresses();
    }

    /// Health checks tell what is in the maps: to be called after they are written.
    fn follow_health_checks(&mut self) {
        let addresses = self.node_ports.listen_at(&self.address_table);
        let problems = self.health_checks.follow(self.engine.health_checks(), &addresses);
        self.report(&problems);
        self.progress.without_local(self.engine.without_local());
    }

    fn write_addresses(&mut self) {
        if self.addresses_written {
            return;
        }
        match self.engine.writer().set_node_addresses(&self.address_table) {
            Ok(()) => self.addresses_written = true,
            Err(error) => warn!(error = chain(&error), "addresses of the node not written"),
        }
    }

    /// Once everything is watched that needs it, what an earlier agent has watched is forgotten,
    /// unless a flow is left. A bit too many costs a packet a few look-ups, no more: a failure is
    /// not tried again.
    fn forget_unwatched(&mut self, live: &LiveFlows) {
        if !self.wants_to_forget() {
            return;
        }
        self.unwatched_forgotten = true;
        if let Err(error) = self.engine.writer().forget_unwatched(&live.addresses) {
            warn!(error = chain(&error), "unused bits of the probe not cleared");
        }
    }

    fn wants_to_forget(&self) -> bool {
        self.listed && self.engine.is_settled() && !self.unwatched_forgotten
    }

    fn report(&self, problems: &[Problem]) {
        for problem in problems {
            warn!("{problem}");
            self.reporter.iter().for_each(|reporter| reporter.report(problem));
        }
    }

    /// Tells what was done, and how long it took from the time a change was noticed (for a file:
    /// reported by the file system, the wait for more included) to the last write.
    fn conclude(&mut self, outcome: &Outcome, what: &str, noticed: Instant) {
        self.report(&outcome.problems);
        self.follow_health_checks();
        let Outcome { services, operations, .. } = outcome;
        let micros = noticed.elapsed().as_micros();
        self.written |= *operations > 0;
        if *operations > 0 || what == "adopted" {
            info!(services, operations, micros, "{what}");
            // What was replaced or freed has left something to free, or may let more go.
            self.scan.reset();
        } else {
            debug!(services, operations, micros, "{what}");
        }
        if self.is_settled() {
            self.retry.reset();
        } else {
            self.retry.failed(Instant::now());
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}
