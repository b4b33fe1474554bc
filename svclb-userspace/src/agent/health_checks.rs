//! The health-check node ports of Services: who answers at which port and address.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::info;

use super::backoff::Backoff;
use crate::{
    health::{Health, Service},
    http::{Server, has_no_family},
    plan::operation::ServicePort,
    problem::{Problem, Reason},
    snapshot::ObjectKey,
    state::HealthCheck,
};

/// How soon, and then how seldom, a port that is taken is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The health-check node ports that are served now.
pub(super) struct HealthChecks {
    health: Arc<Health>,
    open: BTreeMap<u16, Port>,
    /// What was wrong when it was last looked.
    problems: Vec<Problem>,
    retry: Backoff,
}

/// A port at the addresses where NodePorts answer.
struct Port {
    service: Arc<Service>,
    servers: BTreeMap<IpAddr, Server>,
}

impl HealthChecks {
    /// None yet. `health` is told at each.
    pub(super) fn new(health: Arc<Health>) -> Self {
        let (open, problems) = (BTreeMap::new(), Vec::new());
        Self { health, open, problems, retry: Backoff::new(RETRY.0, RETRY.1) }
    }

    /// Serves `checks` (each with the NodePort that has its number, if one does) at `addresses`,
    /// and nothing else any more. What is wrong and was not wrong before is returned. To be called
    /// within a tokio runtime.
    pub(super) fn follow<'a>(
        &mut self,
        checks: impl Iterator<Item = (&'a ObjectKey, HealthCheck, Option<&'a ServicePort>)>,
        addresses: &BTreeSet<IpAddr>,
    ) -> Vec<Problem> {
        let (wanted, mut problems) = share_out(checks);
        self.open.retain(|number, _| wanted.contains_key(number));
        let mut is_taken = false;
        for (number, (key, ready)) in wanted {
            let port = self.port(number, &key, ready);
            if let Err((ip, error)) = port.listen(number, addresses) {
                is_taken = true;
                let message = format_args!("not answered at {ip}, port {number}: {error}");
                problems.push(problem(&key, Reason::HealthCheckFailed, message));
            }
        }
        if is_taken {
            self.retry.failed(Instant::now())
        } else {
            self.retry.reset()
        }
        let news = problems.iter().filter(|problem| !self.problems.contains(problem));
        let news = news.cloned().collect();
        self.problems = problems;
        news
    }

    /// When to try again what could not be served; `None` if all is.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry.at()
    }

    /// The port, which is that Service's.
    fn port(&mut self, number: u16, key: &ObjectKey, ready: usize) -> &mut Port {
        let health = &self.health;
        let port = self.open.entry(number).or_insert_with(|| {
            info!(service = %key, port = number, "answering health checks");
            let service = Service::new(health.clone(), key.clone(), ready);
            Port { service: Arc::new(service), servers: BTreeMap::new() }
        });
        port.service.set(key.clone(), ready);
        port
    }
}

impl Port {
    /// Listens at these addresses and no others. One that cannot be had does not keep it from the
    /// others; the first is returned with the reason.
    fn listen(
        &mut self,
        number: u16,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<(), (IpAddr, io::Error)> {
        self.servers.retain(|ip, _| addresses.contains(ip));
        let mut failed = Ok(());
        for &ip in addresses.iter().filter(|ip| !self.servers.contains_key(ip)).collect::<Vec<_>>()
        {
            match Server::start((ip, number).into(), self.service.clone()) {
                Ok(server) => {
                    self.servers.insert(ip, server);
                }
                Err(error) if has_no_family(&error) => {}
                Err(error) => failed = failed.and(Err((ip, error))),
            }
        }
        failed
    }
}

/// Which Service has which port, with its number of ready endpoints; and what is wrong with those
/// that have none. Of several Services at a port, the one with the least name has it, as with
/// NodePorts, which go before.
fn share_out<'a>(
    checks: impl Iterator<Item = (&'a ObjectKey, HealthCheck, Option<&'a ServicePort>)>,
) -> (BTreeMap<u16, (ObjectKey, usize)>, Vec<Problem>) {
    let (mut wanted, mut problems) = (BTreeMap::<_, (ObjectKey, _)>::new(), Vec::new());
    for (key, HealthCheck { port, ready }, node_port) in checks {
        let taken = match (node_port, wanted.get(&port)) {
            (Some(owner), _) => format!("it is the NodePort of {owner}"),
            (None, Some((other, _))) => format!("it is that of Service {other}"),
            (None, None) => {
                wanted.insert(port, (key.clone(), ready));
                continue;
            }
        };
        let message = format_args!("port {port} is not answered: {taken}");
        problems.push(problem(key, Reason::AddressInUse, message));
    }
    (wanted, problems)
}

fn problem(key: &ObjectKey, reason: Reason, message: std::fmt::Arguments<'_>) -> Problem {
    Problem::new(format_args!("Service {key}"), "spec.healthCheckNodePort", message)
        .concerning(key.clone(), reason)
}

#[cfg(test)]
mod tests;
