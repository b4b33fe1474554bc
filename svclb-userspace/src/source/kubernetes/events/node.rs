//! The Event on the Node that its flow table is too small.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::api::ObjectMeta;

use super::{CONTROLLER, shortened};

/// Where Events on objects without a namespace are.
pub(super) const NAMESPACE: &str = "default";
/// Why.
pub(super) const REASON: &str = "FlowTablePressure";

/// The Event of `node` that says `note`. Each has a name of its own, by its time.
pub(super) fn event(node: &str, note: &str, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{node}.flowtable.{:x}", now.as_nanosecond())),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("Forward".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(shortened(note).to_owned()),
        reason: Some(REASON.to_owned()),
        regarding: Some(ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            // As the kubelet does it: `kubectl describe node` looks for this one as well.
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(node.to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_the_node_and_has_a_name_of_its_own() {
        let at = |second| event("node-1", "full", Timestamp::from_second(second).expect("a time"));
        let (first, second) = (at(1), at(2));
        assert_ne!(first.metadata.name, second.metadata.name);
        let regarding = first.regarding.expect("an object");
        assert_eq!(regarding.kind.as_deref(), Some("Node"));
        assert_eq!(
            (regarding.name.as_deref(), regarding.uid.as_deref()),
            (Some("node-1"), Some("node-1"))
        );
        assert_eq!(first.note.as_deref(), Some("full"));
    }
}
