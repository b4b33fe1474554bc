//! Kubernetes Events on Services: what their owners should know. And on the Node: what its operator
//! should.

mod limit;
mod node;

use std::{fmt, sync::Arc, time::Instant};

use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, Error, Resource as _, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{debug, warn};

use crate::{
    metrics::Metrics,
    problem::{Concern, Problem},
};
use limit::Limit;

/// Problems that wait to be told; more are left to the log.
const QUEUE: usize = 256;
/// The length of a note that the API takes.
const NOTE: usize = 1024;
/// Who reports, as `kubectl describe` shows it.
const CONTROLLER: &str = "svclb";

/// Whom an Event is about, and why it is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Subject {
    /// A Service, whose owner can help it.
    Service(Concern),
    /// This node: its flow table is too small.
    Node,
}

/// Tells the owners of Services what is wrong with them, and a node's operator the same, as Events.
#[derive(Clone, Debug)]
pub struct Reporter {
    queue: mpsc::Sender<(Subject, String)>,
    metrics: Arc<Metrics>,
}

impl Reporter {
    /// Of the agent of `node`; its task goes with `tasks`.
    pub(super) fn start(
        client: Client,
        node: &Arc<str>,
        metrics: Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (queue, problems) = mpsc::channel(QUEUE);
        let (node, limit) = (node.clone(), Limit::default());
        tasks.spawn(Writer { client, node, metrics: metrics.clone(), limit }.run(problems));
        Self { queue, metrics }
    }

    /// Tells of a problem if it is one of a Service's owner, and was not told lately.
    pub fn report(&self, problem: &Problem) {
        let Some(concern) = &problem.concern else { return };
        self.send(Subject::Service(concern.clone()), problem.to_string());
    }

    /// Tells that the flow table is too small, unless that was told lately.
    pub fn report_pressure(&self, note: String) {
        self.send(Subject::Node, note);
    }

    fn send(&self, subject: Subject, note: String) {
        if self.queue.try_send((subject, note)).is_err() {
            self.metrics.watches.event("dropped");
        }
    }
}

/// The task that writes Events.
struct Writer {
    client: Client,
    node: Arc<str>,
    metrics: Arc<Metrics>,
    limit: Limit<Subject>,
}

impl Writer {
    async fn run(mut self, mut problems: mpsc::Receiver<(Subject, String)>) {
        while let Some((subject, note)) = problems.recv().await {
            if !self.limit.admits(&subject, Instant::now()) {
                continue;
            }
            let result = match self.write(&subject, &note).await {
                Ok(()) => "written",
                // Another node's agent has told it.
                Err(Error::Api(status)) if status.is_already_exists() => "known",
                Err(error) => {
                    self.limit.forget(&subject);
                    warn!(%subject, %error, "Event not written: {note}");
                    "failed"
                }
            };
            debug!(%subject, result, "Event");
            self.metrics.watches.event(result);
        }
    }

    async fn write(&self, subject: &Subject, note: &str) -> kube::Result<()> {
        match subject {
            Subject::Service(concern) => self.write_service(concern, note).await,
            Subject::Node => {
                let event = node::event(&self.node, note, Timestamp::now());
                let events: Api<Event> = Api::namespaced(self.client.clone(), node::NAMESPACE);
                events.create(&PostParams::default(), &event).await.map(drop)
            }
        }
    }

    async fn write_service(&self, concern: &Concern, note: &str) -> kube::Result<()> {
        let namespace = &concern.service.namespace;
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let service = services.get(&concern.service.name).await?;
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let event = event(&service, concern, note, &self.node);
        events.create(&PostParams::default(), &event).await.map(drop)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(Concern { service, reason }) => {
                write!(f, "Service {service}, {}", reason.name())
            }
            Self::Node => write!(f, "Node, {}", node::REASON),
        }
    }
}

/// The Event that says `note`. Its name is the same at every node: the first one to write it tells
/// for all of them, until the API server forgets it (an hour, by default).
fn event(service: &Service, concern: &Concern, note: &str, node: &str) -> Event {
    let reason = concern.reason.name();
    let uid = service.uid().unwrap_or_default();
    let name = format!("{}.{}.{uid}", concern.service.name, reason.to_ascii_lowercase());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: service.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("Program".to_owned()),
        event_time: Some(MicroTime(Timestamp::now())),
        note: Some(shortened(note).to_owned()),
        reason: Some(reason.to_owned()),
        regarding: Some(reference(service)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(node.to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }
}

fn reference(service: &Service) -> ObjectReference {
    ObjectReference {
        // Nobody else changes what `kubectl describe` looks for.
        resource_version: None,
        ..service.object_ref(&())
    }
}

/// The beginning of a text, as long as a note may be.
fn shortened(note: &str) -> &str {
    let mut end = note.len().min(NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    &note[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{problem::Reason, snapshot::ObjectKey};

    fn service(uid: &str) -> Service {
        Service {
            metadata: ObjectMeta {
                name: Some("web".to_owned()),
                namespace: Some("ns".to_owned()),
                uid: Some(uid.to_owned()),
                ..ObjectMeta::default()
            },
            ..Service::default()
        }
    }

    #[test]
    fn nodes_give_an_event_the_same_name_and_reasons_different_ones() {
        let concern = |reason| Concern { service: ObjectKey::new("ns", "web"), reason };
        let name = |uid, reason, node| {
            event(&service(uid), &concern(reason), "note", node).metadata.name.expect("a name")
        };
        let first = name("1", Reason::InvalidField, "node-1");
        assert_eq!(first, name("1", Reason::InvalidField, "node-2"));
        assert_ne!(first, name("1", Reason::NotServed, "node-1"));
        assert_ne!(first, name("2", Reason::InvalidField, "node-1"), "created anew");
        assert_eq!(first, "web.invalidfield.1");
    }

    #[test]
    fn an_event_is_about_the_service() {
        let concern =
            Concern { service: ObjectKey::new("ns", "web"), reason: Reason::AddressInUse };
        let event = event(&service("1"), &concern, &"ä".repeat(NOTE), "node-1");
        let regarding = event.regarding.expect("an object");
        assert_eq!(regarding.kind.as_deref(), Some("Service"));
        assert_eq!(regarding.uid.as_deref(), Some("1"));
        assert_eq!(event.metadata.namespace.as_deref(), Some("ns"));
        assert_eq!(event.note.expect("a note").len(), NOTE);
    }
}
