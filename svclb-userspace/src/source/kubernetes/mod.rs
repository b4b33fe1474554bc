//! A cluster's API as a source: Services, EndpointSlices and this node's Node, watched.
//!
//! ```text
//! API servers -> servers (one at a time, another when it fails)
//!             -> follow (list, watch, come back after an error), for each resource
//!             -> known (what an event changes; what a new list leaves out) -> batches
//! ```
//!
//! What cannot be reached changes nothing: the last state serves. Nothing of an object stays here
//! but its key.

mod connection;
mod events;
mod follow;
mod known;
mod object;
mod resource;
mod servers;
mod watch;

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use tokio::{sync::mpsc, task::JoinSet};

pub use connection::Connection;
pub use events::Reporter;
pub use resource::Resource;

use follow::{Follower, Item};
use servers::Servers;
use watch::Watch;

use super::{Batch, Noticed};
use crate::{health::Health, metrics::Metrics, snapshot::Change};

/// Events that wait for their reader; the watches stand still when it is full.
const QUEUE: usize = 1024;
/// Events that are told as one change at most: a list of a large cluster comes in parts.
const BATCH: usize = 1024;

/// The API being watched, until the value is dropped.
#[derive(Debug)]
pub struct Kubernetes {
    items: mpsc::Receiver<Item>,
    /// Without their lists, nothing is to be written. `None` once it was said that they are there.
    awaited: Option<Vec<Resource>>,
    reporter: Reporter,
    _watches: JoinSet<()>,
}

impl Kubernetes {
    /// Begins to watch as the agent of `node`. An API server need not be there yet.
    ///
    /// # Errors
    ///
    /// What is needed to connect cannot be read.
    pub async fn start(
        connection: &Connection,
        node: &Arc<str>,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Self> {
        let servers = Servers::new(connection.configs().await?)?;
        let (sender, items) = mpsc::channel(QUEUE);
        let mut watches = JoinSet::new();
        for resource in Resource::ALL {
            let watch = Arc::new(Watch::new(resource, metrics.clone(), health.clone()));
            let client = servers.client(Some(watch.clone()));
            let follower = Follower::new(resource, node, client, watch, sender.clone());
            watches.spawn(follower.run());
        }
        let reporter = Reporter::start(servers.client(None), node, metrics.clone(), &mut watches);
        // The last is not needed, but half a list would look like ranges that are gone.
        let needed = [Resource::Services, Resource::EndpointSlices, Resource::ServiceCidrs];
        let awaited = Some(needed.into());
        Ok(Self { items, awaited, reporter, _watches: watches })
    }

    /// Says that [`Change::Listed`] is to mean every resource, not only those that the maps need. To
    /// be called before the first [`Self::next`].
    #[must_use]
    pub fn wait_for_all(self) -> Self {
        Self { awaited: Some(Resource::ALL.into()), ..self }
    }

    /// Tells the owners of Services what is wrong with them.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// The next batch; `None` only if the watches have died. Nothing is lost if the future is
    /// dropped.
    pub async fn next(&mut self) -> Option<Noticed> {
        loop {
            let first = self.items.recv().await?;
            let (at, batch) = self.collect(first);
            if !batch.is_empty() {
                return Some((at, batch));
            }
        }
    }

    /// What has come, up to a limit, without waiting for more.
    fn collect(&mut self, first: Item) -> (Instant, Batch) {
        let at = first.at;
        let mut batch = Batch::default();
        self.take(first, &mut batch);
        for _ in 1..BATCH {
            let Ok(item) = self.items.try_recv() else { break };
            self.take(item, &mut batch);
        }
        (at, batch)
    }

    fn take(&mut self, item: Item, batch: &mut Batch) {
        batch.changes.extend(item.batch.changes);
        batch.problems.extend(item.batch.problems);
        let Some(awaited) = &mut self.awaited else { return };
        awaited.retain(|resource| item.listed != Some(*resource));
        if awaited.is_empty() {
            self.awaited = None;
            batch.changes.push(Change::Listed);
        }
    }
}
