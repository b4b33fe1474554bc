//! `/metrics`: what the agent and the kernel programs count and measure.
//!
//! ```text
//! agent: changes, writes, hooks, health checks -> Metrics, as they happen --.
//! main loop: names of ids, entries of maps     -> Inventory, asked for -----+-> /metrics
//! pinned maps: outcomes, traffic, flow table   -> Sample, read at each scrape
//! ```

mod encode;
mod inventory;
mod kube_proxy;
mod progress;
mod sample;
mod scrape;
mod watches;

use std::time::Duration;

use prometheus_client::{
    metrics::{
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

pub use inventory::{Inventory, MapUse};
pub use kube_proxy::{Changes, KubeProxy};
pub use progress::Progress;
pub use sample::{Counters, FlowTable};
pub(crate) use scrape::{Exporter, Request, requests};
pub use watches::Watches;

/// What is counted and measured as it happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What kube-proxy measures too.
    pub kube_proxy: KubeProxy,
    /// The watches of the Kubernetes API.
    pub watches: Watches,
    programming: Histogram,
    attaching: Histogram,
}

impl Metrics {
    /// Nothing has happened yet. `masquerade_ports` can stand for clients' own.
    pub fn new(masquerade_ports: usize) -> Self {
        let mut registry = Registry::default();
        registry.register("svclb_build", "The agent's version", build());
        registry.register(
            "svclb_masquerade_ports",
            "Ports that can stand for clients' own towards each endpoint",
            ConstGauge::new(i64::try_from(masquerade_ports).unwrap_or(i64::MAX)),
        );
        let kube_proxy = KubeProxy::new(&mut registry);
        let watches = Watches::new(&mut registry);
        let programming = Histogram::new(exponential_buckets(0.000_25, 2.0, 18));
        registry.register(
            "svclb_programming_duration_seconds",
            "Time from a change's arrival at this node to the maps",
            programming.clone(),
        );
        let attaching = Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        registry.register(
            "svclb_attach_duration_seconds",
            "Time from a new device's announcement to both of its hooks",
            attaching.clone(),
        );
        Self { registry, kube_proxy, watches, programming, attaching }
    }

    /// A change is in the maps, so long after it was noticed.
    pub fn programmed(&self, took: Duration) {
        self.programming.observe(took.as_secs_f64());
    }

    /// A device has both hooks, so long after it was announced.
    pub fn attached(&self, took: Duration) {
        self.attaching.observe(took.as_secs_f64());
    }
}

fn build() -> Info<[(&'static str, &'static str); 1]> {
    Info::new([("version", env!("CARGO_PKG_VERSION"))])
}
