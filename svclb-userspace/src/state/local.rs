//! What is told of Services' endpoints on this node, kept as Services change.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::{
    desired::{DesiredPort, local::Local},
    plan::operation::{Family, FrontendAddress, Protocol, ServicePort},
    snapshot::{ObjectKey, Service},
};

/// A Service whose load balancers ask whether this node has endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthCheck {
    /// The port that they ask at.
    pub port: u16,
    /// Ready endpoints on this node.
    pub ready: usize,
}

/// How many Services only other nodes have endpoints of, though a policy of theirs is Local.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WithoutLocal {
    /// By `internalTrafficPolicy`.
    pub internal: usize,
    /// By `externalTrafficPolicy`.
    pub external: usize,
}

/// What is known of the Services that were looked at.
#[derive(Debug, Default)]
pub(super) struct LocalEndpoints {
    checks: BTreeMap<ObjectKey, HealthCheck>,
    without_internal: BTreeSet<ObjectKey>,
    without_external: BTreeSet<ObjectKey>,
}

impl LocalEndpoints {
    /// Replaces what is known of a Service; `None` if it is gone.
    pub(super) fn replace(
        &mut self,
        key: &ObjectKey,
        service: Option<&Service>,
        ports: &[DesiredPort],
    ) {
        let local = service.map(|service| Local::of(service, ports)).unwrap_or_default();
        let port = service.map_or(0, |service| service.health_check_node_port);
        if port == 0 {
            self.checks.remove(key);
        } else {
            self.checks.insert(key.clone(), HealthCheck { port, ready: local.ready });
        }
        set(&mut self.without_internal, key, local.none_inside);
        set(&mut self.without_external, key, local.none_outside);
    }
}

fn set(keys: &mut BTreeSet<ObjectKey>, key: &ObjectKey, is_in: bool) {
    if !is_in {
        keys.remove(key);
    } else if !keys.contains(key) {
        keys.insert(key.clone());
    }
}

impl<W> Engine<W> {
    /// The health checks of Services in the order of their keys, each with the NodePort that has
    /// its number, if there is one.
    pub fn health_checks(
        &self,
    ) -> impl Iterator<Item = (&ObjectKey, HealthCheck, Option<&ServicePort>)> {
        let node_port = |number| {
            let at = |family| FrontendAddress::NodePort(family, number, Protocol::Tcp);
            [Family::V4, Family::V6].into_iter().find_map(|f| self.claims.winner(&at(f)))
        };
        self.local.checks.iter().map(move |(key, check)| (key, *check, node_port(check.port)))
    }

    /// How many Services have no endpoints here, though a policy of theirs wants them.
    pub fn without_local(&self) -> WithoutLocal {
        WithoutLocal {
            internal: self.local.without_internal.len(),
            external: self.local.without_external.len(),
        }
    }
}
