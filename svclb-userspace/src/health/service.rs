//! What load balancers are told that ask at a Service's health-check node port: kube-proxy's codes,
//! body and headers.

use std::sync::{Arc, Mutex};

use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::{Health, lock, status};
use crate::{
    http::{Answer, Handler},
    snapshot::ObjectKey,
};

/// The header by which load balancers share clients out among nodes.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// A Service at its health-check node port. Every path is answered alike.
#[derive(Debug)]
pub(crate) struct Service {
    health: Arc<Health>,
    /// Whose port it is, and how many ready endpoints it has on this node.
    now: Mutex<(ObjectKey, usize)>,
}

/// The body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    service: Name<'a>,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

#[derive(Serialize)]
struct Name<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Service {
    /// A Service with that many ready endpoints on this node.
    pub(crate) fn new(health: Arc<Health>, key: ObjectKey, ready: usize) -> Self {
        Self { health, now: Mutex::new((key, ready)) }
    }

    /// Its endpoints have changed, or the port is another Service's.
    pub(crate) fn set(&self, key: ObjectKey, ready: usize) {
        *lock(&self.now) = (key, ready);
    }

    fn answer(&self) -> Answer {
        let (key, ready) = &*lock(&self.now);
        let well = self.health.is_well();
        let body = Body {
            service: Name { namespace: &key.namespace, name: &key.name },
            local_endpoints: *ready,
            service_proxy_healthy: well,
        };
        let mut answer = Answer::json(status(well && *ready > 0), &body);
        answer.header = Some((WEIGHT, HeaderValue::from(*ready)));
        answer
    }
}

impl Handler for Service {
    async fn get(&self, _path: &str) -> Option<Answer> {
        Some(self.answer())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hyper::StatusCode;

    use super::*;

    fn service(timeout: Duration, ready: usize) -> Service {
        let health = Arc::new(Health::new(timeout));
        Service::new(health, ObjectKey::new("shop", "web"), ready)
    }

    #[test]
    fn a_service_with_ready_endpoints_here_is_well() {
        let answer = service(Duration::from_secs(60), 2).answer();
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body,
            r#"{"service":{"namespace":"shop","name":"web"},"localEndpoints":2,"serviceProxyHealthy":true}"#
        );
        assert_eq!(answer.header, Some((WEIGHT, HeaderValue::from_static("2"))));
    }

    #[test]
    fn a_service_without_endpoints_here_is_not() {
        let service = service(Duration::from_secs(60), 1);
        service.set(ObjectKey::new("shop", "web"), 0);
        let answer = service.answer();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains(r#""localEndpoints":0,"serviceProxyHealthy":true"#));
    }

    #[test]
    fn no_service_is_well_while_changes_wait_too_long() {
        let service = service(Duration::ZERO, 1);
        service.health.queued(Instant::now());
        let answer = service.answer();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains(r#""localEndpoints":1,"serviceProxyHealthy":false"#));
    }

    #[test]
    fn a_node_that_leaves_says_so_elsewhere() {
        let service = service(Duration::from_secs(60), 1);
        service.health.set_node_eligible(false);
        assert_eq!(service.answer().status, StatusCode::OK, "its endpoints serve until they end");
    }
}
