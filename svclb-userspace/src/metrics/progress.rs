//! Follows changes on their way from the source into the maps.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::Metrics;
use crate::{
    health::Health,
    snapshot::{Change, ObjectKey, Snapshot},
    state::WithoutLocal,
};

/// Counts changes, and tells how long they took.
#[derive(Debug)]
pub struct Progress {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    node: Arc<str>,
    started: SystemTime,
    listed: bool,
    /// When the oldest change that is not in the maps yet was noticed.
    waiting_since: Option<Instant>,
    /// When what the slices that are not in the maps yet follow has happened, the first change of
    /// each.
    triggered: HashMap<ObjectKey, SystemTime>,
}

impl Progress {
    /// Of the agent of a node, which starts now.
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>, node: &str) -> Self {
        Self {
            metrics,
            health,
            node: node.into(),
            started: SystemTime::now(),
            listed: false,
            waiting_since: None,
            triggered: HashMap::new(),
        }
    }

    /// Changes have come that are not in `snapshot` yet; the first of them at `at`.
    pub fn noticed(&mut self, changes: &[Change], snapshot: &Snapshot, at: Instant) {
        let (mut services, mut endpoints) = (0, 0);
        for change in changes.iter().filter(|change| snapshot.is_news(change)) {
            match change {
                Change::Service(..) => services += 1,
                Change::Slice(key, slice) => {
                    endpoints += 1;
                    let triggered = slice.as_ref().map(|slice| slice.triggered);
                    self.follow(key, triggered);
                }
                Change::Node(name, node) if *name == self.node => {
                    let leaving = node.as_ref().is_none_or(|node| node.leaving);
                    self.health.set_node_eligible(!leaving);
                }
                Change::Node(..) | Change::ServiceCidr(..) => {}
                Change::Listed => self.listed = true,
            }
        }
        let kube_proxy = &self.metrics.kube_proxy;
        kube_proxy.services.noticed(services);
        kube_proxy.endpoints.noticed(endpoints);
        if services + endpoints > 0 {
            kube_proxy.queued(SystemTime::now());
            // Before the first list nothing is to be written, however long that takes.
            if self.listed {
                self.health.queued(at);
                self.waiting_since.get_or_insert(at);
            }
        }
    }

    /// Maps were written for `took`; `settled` if everything that was noticed is in them.
    pub fn written(&mut self, took: Duration, settled: bool) {
        self.metrics.kube_proxy.synced(took);
        if !(settled && self.listed) {
            return;
        }
        let now = SystemTime::now();
        self.metrics.kube_proxy.settled(now);
        if let Some(at) = self.waiting_since.take() {
            self.metrics.programmed(at.elapsed());
        }
        for (_, triggered) in self.triggered.drain() {
            self.metrics.kube_proxy.programmed(triggered, now);
        }
        self.health.updated();
    }

    /// So many Services have no endpoints on this node, though a policy of theirs wants them.
    pub fn without_local(&self, services: WithoutLocal) {
        self.metrics.kube_proxy.without_local(services);
    }

    /// The deletion of a slice carries the time of its last change: of no use. Nor are changes
    /// that happened while no agent was there.
    fn follow(&mut self, key: &ObjectKey, triggered: Option<Option<SystemTime>>) {
        match triggered {
            None => {
                self.triggered.remove(key);
            }
            Some(Some(at)) if at > self.started => {
                self.triggered.entry(key.clone()).or_insert(at);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::{
        plan::operation::Family,
        snapshot::{EndpointSlice, Node, Service},
    };

    /// A node's agent that has listed, its metrics, and how it takes changes in.
    struct World {
        progress: Progress,
        metrics: Arc<Metrics>,
        snapshot: Snapshot,
    }

    impl World {
        fn new() -> Self {
            let metrics = Arc::new(Metrics::new(1));
            let health = Arc::new(Health::new(Duration::from_secs(60)));
            let progress = Progress::new(metrics.clone(), health, "node-1");
            let mut world = Self { progress, metrics, snapshot: Snapshot::default() };
            world.take(Change::Listed, true);
            world
        }

        fn take(&mut self, change: Change, settled: bool) {
            let changes = [change];
            self.progress.noticed(&changes, &self.snapshot, Instant::now());
            let [change] = changes;
            self.snapshot.apply(change, &mut BTreeSet::new());
            self.progress.written(Duration::ZERO, settled);
        }

        fn shows(&self, line: &str) -> bool {
            let mut text = String::new();
            encode(&mut text, &self.metrics.registry).expect("encoded");
            text.lines().any(|found| found == line)
        }
    }

    fn slice(triggered: Option<SystemTime>) -> Change {
        let slice = EndpointSlice {
            service: "web".into(),
            family: Family::V4,
            ports: Vec::new(),
            endpoints: Vec::new(),
            triggered,
        };
        Change::Slice(ObjectKey::new("ns", "web-1"), Some(slice))
    }

    #[test]
    fn changes_are_pending_until_everything_is_written() {
        let mut world = World::new();
        let service = || Some(Service::default());
        world.take(Change::Service(ObjectKey::new("ns", "a"), service()), false);
        world.take(Change::Service(ObjectKey::new("ns", "b"), service()), false);
        assert!(world.shows("kubeproxy_sync_proxy_rules_service_changes_pending 2"));
        world.take(Change::Service(ObjectKey::new("ns", "b"), service()), true);
        assert!(world.shows("kubeproxy_sync_proxy_rules_service_changes_pending 0"));
        // What repeats itself is no change.
        assert!(world.shows("kubeproxy_sync_proxy_rules_service_changes_total 2"));
        assert!(world.shows("svclb_programming_duration_seconds_count 1"));
    }

    #[test]
    fn a_slice_is_measured_from_its_trigger_once() {
        let count = |n| format!("kubeproxy_network_programming_duration_seconds_count {n}");
        let mut world = World::new();
        let later = || Some(SystemTime::now() + Duration::from_millis(1));
        let triggered = later();
        world.take(slice(triggered), false);
        assert!(world.shows(&count(0)));
        world.take(slice(triggered), true);
        assert!(world.shows(&count(1)));
        world.take(slice(triggered), true);
        assert!(world.shows(&count(1)), "listed again");
        world.take(slice(later()), false);
        world.take(Change::Slice(ObjectKey::new("ns", "web-1"), None), true);
        assert!(world.shows(&count(1)), "deleted before it was written");
    }

    #[test]
    fn what_happened_before_the_agent_came_is_not_measured() {
        let mut world = World::new();
        world.take(slice(Some(SystemTime::UNIX_EPOCH)), true);
        assert!(world.shows("kubeproxy_network_programming_duration_seconds_count 0"));
        assert!(world.shows("kubeproxy_sync_proxy_rules_endpoint_changes_total 1"));
    }

    #[test]
    fn only_this_nodes_leaving_matters() {
        let mut world = World::new();
        let eligible = |world: &World| world.progress.health.is_node_eligible();
        let leaving = || Some(Node { leaving: true, ..Node::default() });
        world.take(Change::Node("node-2".into(), leaving()), true);
        assert!(eligible(&world));
        world.take(Change::Node("node-1".into(), leaving()), true);
        assert!(!eligible(&world));
        world.take(Change::Node("node-1".into(), Some(Node::default())), true);
        assert!(eligible(&world));
        world.take(Change::Node("node-1".into(), None), true);
        assert!(!eligible(&world));
    }
}
