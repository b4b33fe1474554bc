//! What the agent waits for, and who takes it.

use std::{collections::BTreeSet, future::pending, net::IpAddr, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::sleep_until,
};
use tracing::warn;

use super::{
    housekeeper::{Found, Housekeeper},
    passes::Passes,
    programmer::Programmer,
    ready::Ready,
};
use crate::{
    attach::Monitor,
    health::Health,
    metrics::{Inventory, Request},
    source::{Noticed, Source},
};

/// The loop on the calling thread.
pub(super) struct MainLoop {
    programmer: Programmer,
    ready: Ready,
    health: Arc<Health>,
    scrapes: mpsc::Receiver<Request>,
    source: Source,
    addresses: watch::Receiver<BTreeSet<IpAddr>>,
    attached: Option<oneshot::Receiver<()>>,
    housekeeper: Arc<Housekeeper>,
    passes: Passes,
    job: Option<JoinHandle<Result<Found>>>,
}

/// What has happened.
enum Event {
    Noticed(Noticed),
    Addresses,
    Attached,
    Retry,
    Pass,
    Job(Result<Found>),
    Scrape(Request),
}

impl MainLoop {
    pub(super) fn new(
        programmer: Programmer,
        housekeeper: Arc<Housekeeper>,
        ready: Ready,
        health: Arc<Health>,
        scrapes: mpsc::Receiver<Request>,
        source: Source,
        monitor: &Monitor,
    ) -> Self {
        Self {
            programmer,
            ready,
            health,
            scrapes,
            source,
            addresses: monitor.addresses(),
            attached: Some(monitor.settled()),
            housekeeper,
            passes: Passes::new(Instant::now()),
            job: None,
        }
    }

    /// Runs for ever.
    pub(super) async fn run(mut self) -> Result<()> {
        // Before the first update: what it makes of an endpoint depends on the node's addresses.
        self.follow_addresses();
        loop {
            let event = self.next().await?;
            self.health.alive();
            self.take(event)?;
        }
    }

    async fn next(&mut self) -> Result<Event> {
        let retry = self.programmer.retry_at();
        Ok(tokio::select! {
            noticed = self.source.next() => {
                Event::Noticed(noticed.context("the source has ended")?)
            }
            changed = self.addresses.changed() => {
                changed.context("the netlink task has ended")?;
                Event::Addresses
            }
            done = when(&mut self.attached) => {
                done.context("the attaching thread has ended")?;
                Event::Attached
            }
            () = at(retry) => Event::Retry,
            () = at(Some(self.passes.at())), if self.job.is_none() => Event::Pass,
            // Without metrics, nobody asks.
            Some(request) = self.scrapes.recv() => Event::Scrape(request),
            done = when(&mut self.job) => Event::Job(done.context("the housekeeping task")?),
        })
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Noticed(noticed) => {
                if self.programmer.update(noticed) {
                    self.ready.programmed()?;
                }
            }
            Event::Addresses => self.follow_addresses(),
            Event::Attached => self.ready.attached()?,
            Event::Retry => self.programmer.retry(),
            Event::Pass => self.keep_house(),
            Event::Scrape(request) => {
                let inventory = Inventory::of(self.programmer.kernel(), request.detail);
                request.answer(inventory);
            }
            Event::Job(Ok(found)) => self.take_found(found),
            Event::Job(Err(error)) => warn!(error = format!("{error:#}"), "flow table not swept"),
        }
        if self.programmer.take_written() {
            self.passes.changed(Instant::now());
        }
        Ok(())
    }

    fn take_found(&mut self, found: Found) {
        if found.untold {
            self.passes.untold(Instant::now());
        }
        if let Some(scan) = found.scan {
            self.programmer.release(scan);
        }
    }

    fn follow_addresses(&mut self) {
        let addresses = self.addresses.borrow_and_update().clone();
        self.programmer.set_addresses(addresses);
    }

    fn keep_house(&mut self) {
        let is_round = self.passes.begin(Instant::now());
        // Between rounds, there is no time for reading every record.
        let scan = is_round && self.programmer.wants_scan();
        let left = self.programmer.take_left(scan);
        let housekeeper = Arc::clone(&self.housekeeper);
        self.job = Some(spawn_blocking(move || housekeeper.run(scan, &left)));
    }
}

/// Completes at a time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// Completes with a future, which is gone then; without one, never.
async fn when<F: Future + Unpin>(slot: &mut Option<F>) -> F::Output {
    let Some(future) = slot else { return pending().await };
    let output = future.await;
    *slot = None;
    output
}
