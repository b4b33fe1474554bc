//! What kube-proxy measures too: its names, meanings and bucket bounds.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets, linear_buckets},
    },
    registry::Registry,
};

use crate::state::WithoutLocal;

/// Requests by the code of their answer.
type ByCode = Family<[(&'static str, String); 1], Counter>;

/// Services by the kind of their policy.
type ByPolicy = Family<[(&'static str, &'static str); 1], Gauge>;

/// The metrics under kube-proxy's names (`pkg/proxy/metrics` of Kubernetes).
#[derive(Debug)]
pub struct KubeProxy {
    sync: Histogram,
    programming: Histogram,
    /// Changes of Services.
    pub services: Changes,
    /// Changes of EndpointSlices.
    pub endpoints: Changes,
    queued: Gauge<f64, AtomicU64>,
    synced: Gauge<f64, AtomicU64>,
    no_local_endpoints: ByPolicy,
    healthz: ByCode,
    livez: ByCode,
}

/// Changes of one kind of object.
#[derive(Default, Debug)]
pub struct Changes {
    total: Counter,
    pending: Gauge,
}

impl Changes {
    /// Counts changes that have to be written.
    pub fn noticed(&self, changes: u32) {
        self.total.inc_by(changes.into());
        self.pending.inc_by(changes.into());
    }

    fn written(&self) {
        self.pending.set(0);
    }

    fn register(&self, registry: &mut Registry, kind: &str) {
        let name =
            |what| format!("kubeproxy_sync_proxy_rules_{}_changes{what}", kind.to_lowercase());
        registry.register(
            name("_pending"),
            format!("{kind} changes that are not in the maps yet"),
            self.pending.clone(),
        );
        registry.register(name(""), format!("{kind} changes"), self.total.clone());
    }
}

impl KubeProxy {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let this = Self {
            sync: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            programming: Histogram::new(programming_buckets()),
            services: Changes::default(),
            endpoints: Changes::default(),
            queued: Gauge::default(),
            synced: Gauge::default(),
            no_local_endpoints: ByPolicy::default(),
            healthz: ByCode::default(),
            livez: ByCode::default(),
        };
        this.register(registry);
        this
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "Time it took to bring the maps up to date",
            self.sync.clone(),
        );
        registry.register(
            "kubeproxy_network_programming_duration_seconds",
            "Time from the change that an EndpointSlice follows to the maps, clocks of two machines",
            self.programming.clone(),
        );
        self.services.register(registry, "Service");
        self.endpoints.register(registry, "Endpoint");
        registry.register(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "When the maps were last what they should be",
            self.synced.clone(),
        );
        registry.register(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "When a change was last noticed",
            self.queued.clone(),
        );
        registry.register(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Services with a Local policy whose endpoints are all on other nodes",
            self.no_local_endpoints.clone(),
        );
        let (healthz, livez) = (self.healthz.clone(), self.livez.clone());
        registry.register("kubeproxy_proxy_healthz", "Answers of /healthz by code", healthz);
        registry.register("kubeproxy_proxy_livez", "Answers of /livez by code", livez);
    }

    /// A change was noticed.
    pub fn queued(&self, at: SystemTime) {
        self.queued.set(seconds_of(at));
    }

    /// Maps were written, for so long.
    pub fn synced(&self, took: Duration) {
        self.sync.observe(took.as_secs_f64());
    }

    /// Everything noticed so far is in the maps.
    pub fn settled(&self, at: SystemTime) {
        self.services.written();
        self.endpoints.written();
        self.synced.set(seconds_of(at));
    }

    /// Endpoints are in the maps that changed at `triggered` by their controller's clock.
    pub fn programmed(&self, triggered: SystemTime, at: SystemTime) {
        // The clocks may differ: what comes before its cause took no time.
        let took = at.duration_since(triggered).unwrap_or_default();
        self.programming.observe(took.as_secs_f64());
    }

    /// So many Services have no endpoints on this node, though a policy of theirs wants them.
    pub fn without_local(&self, services: WithoutLocal) {
        for (policy, count) in [("internal", services.internal), ("external", services.external)] {
            let gauge = self.no_local_endpoints.get_or_create(&[("traffic_policy", policy)]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// An answer of `/healthz`.
    pub fn healthz(&self, code: u16) {
        self.healthz.get_or_create(&[("code", code.to_string())]).inc();
    }

    /// An answer of `/livez`.
    pub fn livez(&self, code: u16) {
        self.livez.get_or_create(&[("code", code.to_string())]).inc();
    }
}

/// 0, 0.25, 0.5, then 1 to 59 by 1, 60 to 115 by 5 and 120 to 300 by 30 seconds.
fn programming_buckets() -> impl Iterator<Item = f64> {
    let below_a_second = [0.0].into_iter().chain(linear_buckets(0.25, 0.25, 2));
    let below_two_minutes = linear_buckets(1.0, 1.0, 59).chain(linear_buckets(60.0, 5.0, 12));
    below_a_second.chain(below_two_minutes).chain(linear_buckets(120.0, 30.0, 7))
}

/// Seconds since 1970.
pub(super) fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_programming_are_kube_proxys() {
        let bounds: Vec<_> = programming_buckets().collect();
        assert_eq!(bounds.len(), 81);
        assert_eq!(bounds[..5], [0.0, 0.25, 0.5, 1.0, 2.0]);
        assert_eq!(bounds[60..64], [58.0, 59.0, 60.0, 65.0]);
        assert_eq!(bounds[72..], [110.0, 115.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0]);
        assert!(bounds.is_sorted());
    }
}
