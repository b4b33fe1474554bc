//! The handler of `/metrics` and `/proxyMode`.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hyper::StatusCode;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::Registry,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use tracing::warn;

use super::{Counters, Inventory, Metrics, sample::Sample};
use crate::{
    config::PerService,
    http::{Answer, Handler},
};

/// The media type of OpenMetrics' text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `/proxyMode` says.
const PROXY_MODE: &str = "svclb";

/// How long the main loop may take to answer: a large first list is written in one go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Scrapes that wait for the main loop.
const QUEUE: usize = 4;

/// A scrape's question to the main loop.
pub(crate) struct Request {
    /// How fine it is to be.
    pub(crate) detail: PerService,
    answer: oneshot::Sender<Inventory>,
}

impl Request {
    /// Answers, if anybody still waits.
    pub(crate) fn answer(self, inventory: Inventory) {
        // Who has gone has lost patience.
        let _ = self.answer.send(inventory);
    }
}

/// A way to ask the main loop, and the end where it listens.
pub(crate) fn requests() -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
    mpsc::channel(QUEUE)
}

/// Answers scrapes.
pub(crate) struct Exporter {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) detail: PerService,
}

impl Handler for Exporter {
    async fn get(&self, path: &str) -> Option<Answer> {
        match path {
            "/metrics" => Some(self.metrics().await),
            "/proxyMode" => Some(Answer::text(StatusCode::OK, PROXY_MODE)),
            _ => None,
        }
    }
}

impl Exporter {
    async fn metrics(&self) -> Answer {
        match self.scrape().await {
            Ok(body) => Answer::new(StatusCode::OK, OPEN_METRICS, body),
            Err(error) => {
                let error = format!("{error:#}");
                warn!(error, "metrics not read");
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error + "\n")
            }
        }
    }

    async fn scrape(&self) -> Result<String> {
        let inventory = timeout(PATIENCE, self.inventory()).await;
        let inventory = inventory.context("the main loop does not answer")??;
        let (metrics, counters) = (self.metrics.clone(), self.counters.clone());
        let scrape = move || {
            let sample = Sample::read(&counters, inventory)?;
            exposition(&metrics, sample).context("encode")
        };
        spawn_blocking(scrape).await.context("the scrape")?
    }

    async fn inventory(&self) -> Result<Inventory> {
        let (answer, answered) = oneshot::channel();
        let request = Request { detail: self.detail, answer };
        self.requests.send(request).await.ok().context("the main loop has ended")?;
        answered.await.context("the main loop has ended")
    }
}

/// Everything in OpenMetrics' text.
fn exposition(metrics: &Metrics, sample: Sample) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &metrics.registry)?;
    let mut sampled = Registry::default();
    sampled.register_collector(Box::new(sample));
    encode_registry(&mut text, &sampled)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
