//! The watches of the Kubernetes API, and the Events written there.

use std::time::SystemTime;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::kube_proxy::seconds_of;

/// One metric for each resource that is watched.
type ByResource<M> = Family<[(&'static str, &'static str); 1], M>;

/// How the watches stand. Nothing is there without one.
#[derive(Debug)]
pub struct Watches {
    connected: ByResource<Gauge>,
    heard: ByResource<Gauge<f64, std::sync::atomic::AtomicU64>>,
    lists: ByResource<Counter>,
    failures: ByResource<Counter>,
    events: ByResource<Counter>,
}

impl Watches {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let this = Self {
            connected: Family::default(),
            heard: Family::default(),
            lists: Family::default(),
            failures: Family::default(),
            events: Family::default(),
        };
        registry.register(
            "svclb_watch_connected",
            "1 if the API server lets the resource be watched, 0 if the last attempt has failed",
            this.connected.clone(),
        );
        registry.register(
            "svclb_watch_granted_timestamp_seconds",
            "When the API server last granted a list or watch of the resource",
            this.heard.clone(),
        );
        registry.register(
            "svclb_watch_lists",
            "Complete lists of the resource",
            this.lists.clone(),
        );
        registry.register("svclb_watch_failures", "Watches that failed", this.failures.clone());
        registry.register(
            "svclb_kubernetes_events",
            "Kubernetes Events for owners of Services, by what became of them",
            this.events.clone(),
        );
        this
    }

    /// A watch of `resource` begins.
    pub fn begin(&self, resource: &'static str) {
        self.connected.get_or_create(&of(resource)).set(0);
        self.failures.get_or_create(&of(resource)).inc_by(0);
        self.lists.get_or_create(&of(resource)).inc_by(0);
    }

    /// The API server has granted a request.
    pub fn connected(&self, resource: &'static str) {
        self.connected.get_or_create(&of(resource)).set(1);
        self.heard.get_or_create(&of(resource)).set(seconds_of(SystemTime::now()));
    }

    /// A list is complete.
    pub fn listed(&self, resource: &'static str) {
        self.lists.get_or_create(&of(resource)).inc();
    }

    /// The watch has failed.
    pub fn failed(&self, resource: &'static str) {
        self.connected.get_or_create(&of(resource)).set(0);
        self.failures.get_or_create(&of(resource)).inc();
    }

    /// The API server does not have the resource: there is no watch that could be connected.
    pub fn absent(&self, resource: &'static str) {
        self.connected.remove(&of(resource));
    }

    /// What became of a Kubernetes Event: `written`, `known` (another node's agent wrote it),
    /// `failed`, or `dropped` (too many at once).
    pub fn event(&self, result: &'static str) {
        self.events.get_or_create(&[("result", result)]).inc();
    }
}

fn of(resource: &'static str) -> [(&'static str, &'static str); 1] {
    [("resource", resource)]
}
