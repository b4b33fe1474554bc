//! How a watch stands: for metrics, readiness and the log.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{debug, info, warn};

use super::resource::Resource;
use crate::{health::Health, metrics::Metrics};

/// One watch, as others see it.
#[derive(Debug)]
pub(super) struct Watch {
    resource: Resource,
    failing: AtomicBool,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Watch {
    /// A watch that begins.
    pub(super) fn new(resource: Resource, metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        metrics.watches.begin(resource.name());
        Self { resource, failing: AtomicBool::new(false), metrics, health }
    }

    /// The API server does what it was asked for.
    pub(super) fn granted(&self) {
        self.metrics.watches.connected(self.resource.name());
        self.health.source_well(self.resource.name());
        if self.failing.swap(false, Ordering::Relaxed) {
            info!(resource = self.resource.name(), "watched again");
        }
    }

    /// A list is complete.
    pub(super) fn listed(&self) {
        self.metrics.watches.listed(self.resource.name());
        debug!(resource = self.resource.name(), "listed");
    }

    /// The server has forgotten where it was; it begins with a new list.
    pub(super) fn expired(&self) {
        info!(resource = self.resource.name(), "too old for the API server, listing again");
    }

    /// The server does not have the resource, and is none the worse for it.
    pub(super) fn absent(&self) {
        let resource = self.resource.name();
        self.metrics.watches.absent(resource);
        self.health.source_well(resource);
        debug!(resource, "the API server does not have it");
    }

    /// It has failed, and will begin again. Told once until it is well.
    pub(super) fn failed(&self, error: &dyn Error) {
        let (resource, error) = (self.resource.name(), chain(error));
        self.metrics.watches.failed(resource);
        if !self.resource.is_optional() {
            self.health.source_failed(resource, &error);
        }
        if self.failing.swap(true, Ordering::Relaxed) {
            debug!(resource, error, "still not watched");
        } else {
            warn!(resource, error, "not watched; the last state serves, and the agent tries again");
        }
    }
}

/// An error with its causes, each said once: many repeat theirs.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}
