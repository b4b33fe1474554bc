//! `/healthz`, `/livez` and `/readyz`: the codes and bodies of kube-proxy, and what is beyond.
//!
//! | path | 200 if |
//! |---|---|
//! | `/livez` | no change waits longer than the timeout to be written, and the main loop runs |
//! | `/healthz` | the same, and the node is neither deleted nor about to be |
//! | `/readyz` | every device is attached to, the Services are in the maps, and the source answers |
//!
//! Load balancers ask about one Service at a port of its own, its health-check node port.

mod service;
mod state;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    http::{Answer, Handler},
    metrics::Metrics,
};

pub(crate) use service::Service;
use state::{State, Verdict};

/// What the agent says about its health, and who asks for it.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    ready: AtomicBool,
    /// What of the source is not followed now, and why.
    unfollowed: Mutex<BTreeMap<&'static str, String>>,
}

impl Health {
    /// Of an agent that starts. A change may wait for `timeout` to be written.
    pub fn new(timeout: Duration) -> Self {
        Self {
            state: Mutex::new(State::new(timeout, Instant::now())),
            ready: AtomicBool::new(false),
            unfollowed: Mutex::default(),
        }
    }

    /// A change that was noticed at `at` has to be written.
    pub fn queued(&self, at: Instant) {
        self.state().queued(at);
    }

    /// The maps are what they should be.
    pub fn updated(&self) {
        self.state().updated(SystemTime::now());
    }

    /// The main loop has done something. To be called every few seconds at least.
    pub fn alive(&self) {
        self.state().alive(Instant::now());
    }

    /// Whether this node is to get new traffic from load balancers.
    pub fn set_node_eligible(&self, eligible: bool) {
        self.state().set_node_eligible(eligible);
    }

    /// Whether changes reach the maps in time.
    pub fn is_well(&self) -> bool {
        self.judge().0.healthy
    }

    /// Whether load balancers may send new traffic to this node.
    pub fn is_node_eligible(&self) -> bool {
        self.state().judge(Instant::now(), SystemTime::now()).node_eligible
    }

    /// Every device is attached to, and the Services are in the maps.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// A part of the source cannot be followed.
    pub fn source_failed(&self, part: &'static str, error: &str) {
        lock(&self.unfollowed).insert(part, error.to_owned());
    }

    /// A part of the source is followed.
    pub fn source_well(&self, part: &'static str) {
        lock(&self.unfollowed).remove(part);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn healthz(&self) -> (bool, Body) {
        let (verdict, mut body) = self.judge();
        body.node_eligible = Some(verdict.node_eligible);
        (verdict.healthy && verdict.node_eligible, body)
    }

    fn livez(&self) -> (bool, Body) {
        let (verdict, body) = self.judge();
        (verdict.healthy, body)
    }

    fn judge(&self) -> (Verdict, Body) {
        let now = SystemTime::now();
        let verdict = self.state().judge(Instant::now(), now);
        (verdict, Body::new(&verdict, now))
    }

    fn readyz(&self) -> Answer {
        let mut missing = String::new();
        if !self.ready.load(Ordering::Relaxed) {
            missing += "devices or Services are not done yet\n";
        }
        for (part, error) in lock(&self.unfollowed).iter() {
            missing += &format!("{part}: not followed, the last state serves: {error}\n");
        }
        if missing.is_empty() {
            return Answer::text(StatusCode::OK, "ok\n");
        }
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, missing)
    }
}

/// The values behind these locks are written one by one: a panic leaves none half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that stands for none in Go, whose programs read the body.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The body of `/healthz`, and without the node of `/livez`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    /// RFC 3339.
    last_updated: String,
    /// RFC 3339.
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
}

impl Body {
    fn new(verdict: &Verdict, now: SystemTime) -> Self {
        let last_updated = verdict.updated.map_or_else(|| NEVER.to_owned(), rfc3339);
        Self { last_updated, current_time: rfc3339(now), node_eligible: None }
    }
}

/// A time, to the microsecond; nothing for one beyond the year 9999.
fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.6}")).unwrap_or_default()
}

fn answer((well, body): (bool, Body)) -> Answer {
    Answer::json(status(well), &body)
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The handler of health checks, which are counted.
pub(crate) struct Checks {
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Handler for Checks {
    async fn get(&self, path: &str) -> Option<Answer> {
        match path {
            "/healthz" => {
                let answer = answer(self.health.healthz());
                self.metrics.kube_proxy.healthz(answer.status.as_u16());
                Some(answer)
            }
            "/livez" => {
                let answer = answer(self.health.livez());
                self.metrics.kube_proxy.livez(answer.status.as_u16());
                Some(answer)
            }
            "/readyz" => Some(self.health.readyz()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde_json::Value;

    use super::*;
    use crate::{
        config::Listen,
        http::{Listeners, tests::ask},
    };

    async fn served(health: &Arc<Health>, metrics: &Arc<Metrics>) -> SocketAddr {
        let listen: Listen = "127.0.0.1:0".parse().expect("address");
        let listeners = Listeners::bind("healthz-bind-address", &listen).expect("bound");
        let address = listeners.addresses().expect("bound")[0];
        listeners.serve("health", Checks { health: health.clone(), metrics: metrics.clone() });
        address
    }

    /// The status of a path, and its body.
    async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
        let answer = ask(address, "GET", path).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    #[tokio::test]
    async fn a_well_agent_on_a_leaving_node_fails_healthz_only() {
        let health = Arc::new(Health::new(Duration::from_secs(60)));
        let metrics = Arc::new(Metrics::new(1));
        let address = served(&health, &metrics).await;
        let (status, body) = get(address, "/healthz").await;
        assert_eq!((status, &body["nodeEligible"]), (200, &Value::Bool(true)));
        assert_eq!(body["lastUpdated"], body["currentTime"]);
        health.set_node_eligible(false);
        let (status, body) = get(address, "/healthz").await;
        assert_eq!((status, &body["nodeEligible"]), (503, &Value::Bool(false)));
        let (status, body) = get(address, "/livez").await;
        assert_eq!((status, &body["nodeEligible"]), (200, &Value::Null));
    }

    #[tokio::test]
    async fn a_change_that_waits_too_long_fails_both() {
        let health = Arc::new(Health::new(Duration::ZERO));
        let metrics = Arc::new(Metrics::new(1));
        let address = served(&health, &metrics).await;
        health.queued(Instant::now());
        for path in ["/healthz", "/livez"] {
            let (status, body) = get(address, path).await;
            assert_eq!((status, &body["lastUpdated"]), (503, &Value::from(NEVER)), "{path}");
        }
        assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 503 "));
        health.set_ready();
        assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn an_agent_without_its_source_is_not_ready_and_says_what_is_missing() {
        let health = Arc::new(Health::new(Duration::from_secs(60)));
        let address = served(&health, &Arc::new(Metrics::new(1))).await;
        health.set_ready();
        health.source_failed("services", "connection refused");
        let answer = ask(address, "GET", "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("services: not followed"), "{answer}");
        assert_eq!(get(address, "/livez").await.0, 200, "a new agent would help nobody");
        health.source_well("services");
        assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    }
}
