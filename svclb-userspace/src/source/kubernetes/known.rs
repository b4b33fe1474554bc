//! Which objects of a resource there are: what an event changes, and what a new list leaves out.

use std::collections::{HashMap, HashSet};

use kube::runtime::watcher::Event;

use super::object::Raw;
use crate::{
    problem::Problem,
    snapshot::{Change, ObjectKey},
    source::{
        Batch, convert,
        object::{Kind, Object, Read, identify, read_as},
    },
};

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Known {
    kind: Kind,
    /// Each with what is wrong with it.
    objects: HashMap<ObjectKey, Vec<Problem>>,
    /// Those that the list which is being read has named.
    listing: HashSet<ObjectKey>,
}

impl Known {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, objects: HashMap::new(), listing: HashSet::new() }
    }

    /// What an event of the watch changes.
    pub(super) fn take(&mut self, event: Event<Raw>) -> Batch {
        match event {
            Event::Apply(object) => self.set(&object).1,
            Event::Delete(object) => match identify(self.kind, &object.value) {
                Ok(id) => self.remove(id.key).into_iter().collect(),
                // The server has none without a name.
                Err(_) => Batch::default(),
            },
            Event::Init => {
                self.listing.clear();
                Batch::default()
            }
            Event::InitApply(object) => {
                let (key, batch) = self.set(&object);
                self.listing.extend(key);
                batch
            }
            Event::InitDone => self.end_list(),
        }
    }

    /// Takes an object in. One that cannot be used stays what it was.
    fn set(&mut self, object: &Raw) -> (Option<ObjectKey>, Batch) {
        let (key, change, problems) = match read_as(self.kind, &object.value, "") {
            Read::Object(id, object) => (id.key.clone(), change(id.key, *object), Vec::new()),
            Read::Broken(Some(id), problem) => (id.key, None, vec![problem]),
            Read::Broken(None, problem) => {
                return (None, Batch { changes: Vec::new(), problems: vec![problem] });
            }
            Read::Ignored => return (None, Batch::default()),
        };
        let before = self.objects.insert(key.clone(), problems.clone()).unwrap_or_default();
        let new = problems.into_iter().filter(|problem| !before.contains(problem)).collect();
        (Some(key), Batch { changes: change.into_iter().collect(), problems: new })
    }

    fn remove(&mut self, key: ObjectKey) -> Option<Change> {
        self.objects.remove(&key)?;
        Some(match self.kind {
            Kind::EndpointSlice => Change::Slice(key, None),
            Kind::Node => Change::Node(key.name, None),
            Kind::Pod => return None,
            Kind::Service => Change::Service(key, None),
            Kind::ServiceCidr => Change::ServiceCidr(key.name, None),
        })
    }

    /// What the list has not named is gone: its deletion was missed.
    fn end_list(&mut self) -> Batch {
        let listed = std::mem::take(&mut self.listing);
        let gone: Vec<_> =
            self.objects.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        gone.into_iter().filter_map(|key| self.remove(key)).collect()
    }
}

/// What an object means; nothing for a kind that is not watched.
fn change(key: ObjectKey, object: Object) -> Option<Change> {
    Some(match object {
        Object::EndpointSlice(slice) => Change::Slice(key, slice),
        Object::Node(node) => Change::Node(key.name, Some(node)),
        Object::Pod(_) => return None,
        Object::Service(service) => Change::Service(key, convert::service(&service)),
        Object::ServiceCidr(cidrs) => Change::ServiceCidr(key.name, Some(cidrs)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As an item of a list: without its kind.
    fn service(name: &str, spec: Value) -> Raw {
        Raw::new(json!({
            "metadata": {"namespace": "ns", "name": name, "resourceVersion": "7"},
            "spec": spec,
        }))
    }

    fn valid(name: &str) -> Raw {
        service(name, json!({"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}))
    }

    fn known() -> Known {
        Known::new(Kind::Service)
    }

    /// `+name` for what is set, `-name` for what is gone.
    fn changes(batch: &Batch) -> Vec<String> {
        let mut changes: Vec<_> = batch
            .changes
            .iter()
            .map(|change| match change {
                Change::Service(key, Some(_)) => format!("+{}", key.name),
                Change::Service(key, None) => format!("-{}", key.name),
                other => format!("{other:?}"),
            })
            .collect();
        changes.sort();
        changes
    }

    #[test]
    fn a_new_list_removes_what_it_leaves_out() {
        let mut known = known();
        known.take(Event::Init);
        for name in ["a", "b", "c"] {
            assert_eq!(changes(&known.take(Event::InitApply(valid(name)))), [format!("+{name}")]);
        }
        assert!(known.take(Event::InitDone).is_empty());
        assert_eq!(changes(&known.take(Event::Delete(valid("a")))), ["-a"]);
        known.take(Event::Init);
        known.take(Event::InitApply(valid("c")));
        known.take(Event::InitApply(valid("d")));
        assert_eq!(changes(&known.take(Event::InitDone)), ["-b"]);
        assert_eq!(known.objects.len(), 2);
    }

    #[test]
    fn a_list_that_is_broken_off_removes_nothing() {
        let mut known = known();
        known.take(Event::Apply(valid("a")));
        known.take(Event::Init);
        known.take(Event::Init);
        known.take(Event::InitApply(valid("a")));
        assert!(known.take(Event::InitDone).is_empty());
    }

    #[test]
    fn an_object_that_cannot_be_used_stays_what_it_was_and_is_told_once() {
        let mut known = known();
        let broken = || service("a", json!({"clusterIP": "ten"}));
        known.take(Event::Apply(valid("a")));
        let batch = known.take(Event::Apply(broken()));
        assert_eq!(changes(&batch), [""; 0]);
        let said: Vec<_> = batch.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["Service ns/a, spec.clusterIP: \"ten\" is not an IP address"]);
        assert!(known.take(Event::Apply(broken())).is_empty());
        // It is there: a list that names it does not remove it.
        known.take(Event::Init);
        known.take(Event::InitApply(broken()));
        assert!(known.take(Event::InitDone).is_empty());
    }

    #[test]
    fn a_service_cidr_is_known_by_its_name_alone() {
        let mut known = Known::new(Kind::ServiceCidr);
        let object = |cidrs: Value| {
            Raw::new(json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}}))
        };
        let batch = known.take(Event::Apply(object(json!(["10.96.0.0/16", "fd00::/112"]))));
        let cidrs = ["10.96.0.0/16", "fd00::/112"].map(|cidr| cidr.parse().expect("a range"));
        let set = Change::ServiceCidr("kubernetes".into(), Some(cidrs.into()));
        assert_eq!(batch.changes, [set]);
        let batch = known.take(Event::Apply(object(json!(["10.96.0.0"]))));
        let said: Vec<_> = batch.problems.iter().map(ToString::to_string).collect();
        let expected = "ServiceCIDR kubernetes, spec.cidrs[0]: \"10.96.0.0\" is not a range of IP \
                        addresses: IP/LENGTH";
        assert_eq!(said, [expected]);
        let batch = known.take(Event::Delete(object(json!([]))));
        assert_eq!(batch.changes, [Change::ServiceCidr("kubernetes".into(), None)]);
    }

    #[test]
    fn a_deletion_of_what_was_never_there_is_none() {
        assert!(known().take(Event::Delete(valid("a"))).is_empty());
    }
}
