//! What others see of the agent: metrics and health over HTTP.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::mpsc;

use crate::{
    config::{Observability, PerService},
    health::{Checks, Health},
    http::Listeners,
    metrics::{Counters, Exporter, Metrics, Progress, Request, requests},
    pins::Pins,
};

/// The sockets, and what is told through them.
pub(super) struct Observers {
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    scrapes: Listeners,
    detail: PerService,
}

impl Observers {
    /// Listens, so that a taken port is known before anything is done, and answers health checks.
    pub(super) fn start(options: &Observability, masquerade_ports: usize) -> Result<Self> {
        let scrapes = Listeners::bind("metrics-bind-address", &options.metrics_bind_address)?;
        let checks = Listeners::bind("healthz-bind-address", &options.healthz_bind_address)?;
        let metrics = Arc::new(Metrics::new(masquerade_ports));
        let health = Arc::new(Health::new(Duration::from_secs(options.health_timeout.into())));
        checks.serve("health", Checks { health: health.clone(), metrics: metrics.clone() });
        Ok(Self { metrics, health, scrapes, detail: options.metrics_per_service })
    }

    /// Follows the changes of a node's agent.
    pub(super) fn progress(&self, node: &str) -> Progress {
        Progress::new(self.metrics.clone(), self.health.clone(), node)
    }

    /// Answers scrapes from the pinned maps, and from what the main loop says to its requests.
    pub(super) fn serve_metrics(self, pins: &Pins) -> Result<mpsc::Receiver<Request>> {
        let (requests, asked) = requests();
        let counters = Arc::new(Counters::open(pins)?);
        let Self { metrics, detail, .. } = self;
        self.scrapes.serve("metrics", Exporter { metrics, counters, requests, detail });
        Ok(asked)
    }
}
