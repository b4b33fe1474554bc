//! Names in place of values, for programs that read an explanation.

use serde::Serializer;

use crate::{
    desired::{FrontendKind, Reason, Topology, Verdict, verdict::Action},
    plan::operation::ServicePort,
    snapshot::TrafficPolicy,
};

/// A function for `serialize_with` that writes the name of a value.
macro_rules! by_name {
    ($($function:ident: $type:ty => $name:expr;)+) => { $(
        pub(super) fn $function<S: Serializer>(
            value: &$type,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            let name: fn(&$type) -> &'static str = $name;
            serializer.serialize_str(name(value))
        }
    )+ };
}

by_name! {
    verdict: Verdict => |verdict| verdict.name();
    action: Action => |action| action.name();
    kind: FrontendKind => |kind| kind.name();
    policy: TrafficPolicy => |policy| policy.name();
    topology: Topology => |topology| topology.name();
    reason: Reason => |reason| reason.name();
}

/// The owner as messages write it.
pub(super) fn owner<S: Serializer>(owner: &ServicePort, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(owner)
}
