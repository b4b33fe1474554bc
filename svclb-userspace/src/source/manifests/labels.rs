//! Objects by label, so that Pods and the Services that select them find each other without a walk
//! over all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::snapshot::ObjectKey;

/// Labels, or a selector that asks for them.
pub(super) type Labels = BTreeMap<String, String>;

/// Objects by namespace and label.
#[derive(Debug, Default)]
pub(super) struct LabelIndex {
    objects: HashMap<Label, BTreeSet<ObjectKey>>,
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct Label {
    namespace: String,
    key: String,
    value: String,
}

impl Label {
    fn of(namespace: &str, (key, value): (&String, &String)) -> Self {
        Self { namespace: namespace.to_owned(), key: key.clone(), value: value.clone() }
    }
}

impl LabelIndex {
    /// Replaces the labels of an object.
    pub(super) fn replace(&mut self, key: &ObjectKey, old: Option<&Labels>, new: Option<&Labels>) {
        for pair in old.into_iter().flatten() {
            let label = Label::of(&key.namespace, pair);
            if let Some(keys) = self.objects.get_mut(&label) {
                keys.remove(key);
                if keys.is_empty() {
                    self.objects.remove(&label);
                }
            }
        }
        for pair in new.into_iter().flatten() {
            let label = Label::of(&key.namespace, pair);
            self.objects.entry(label).or_default().insert(key.clone());
        }
    }

    /// The objects in `namespace` that have any of `labels`. One may come several times.
    pub(super) fn with_any(
        &self,
        namespace: &str,
        labels: &Labels,
    ) -> impl Iterator<Item = &ObjectKey> {
        let found = labels.iter().filter_map(|pair| self.objects.get(&Label::of(namespace, pair)));
        found.flatten()
    }

    /// Objects in `namespace` among which are all that have every one of `labels`: those with the
    /// rarest of them. None without a label.
    pub(super) fn with_rarest(
        &self,
        namespace: &str,
        labels: &Labels,
    ) -> impl Iterator<Item = &ObjectKey> {
        let objects = |pair| self.objects.get(&Label::of(namespace, pair));
        let mut rarest = None;
        for pair in labels {
            let Some(found) = objects(pair) else {
                rarest = None;
                break;
            };
            if rarest.is_none_or(|rarest: &BTreeSet<_>| found.len() < rarest.len()) {
                rarest = Some(found);
            }
        }
        rarest.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn names<'a>(found: impl Iterator<Item = &'a ObjectKey>) -> Vec<&'a str> {
        found.map(|key| &*key.name).collect()
    }

    #[test]
    fn objects_are_found_by_their_labels() {
        let mut index = LabelIndex::default();
        let (one, two) = (labels("app=web tier=front"), labels("app=web"));
        index.replace(&ObjectKey::new("ns", "one"), None, Some(&one));
        index.replace(&ObjectKey::new("ns", "two"), None, Some(&two));
        index.replace(&ObjectKey::new("other", "three"), None, Some(&one));
        assert_eq!(names(index.with_any("ns", &labels("app=web x=y"))), ["one", "two"]);
        assert_eq!(names(index.with_rarest("ns", &one)), ["one"]);
        assert_eq!(names(index.with_rarest("ns", &labels("app=web tier=back"))), [""; 0]);
        assert_eq!(names(index.with_rarest("ns", &labels(""))), [""; 0]);

        index.replace(&ObjectKey::new("ns", "one"), Some(&one), Some(&labels("tier=back")));
        assert_eq!(names(index.with_rarest("ns", &two)), ["two"]);
        index.replace(&ObjectKey::new("ns", "one"), Some(&labels("tier=back")), None);
        index.replace(&ObjectKey::new("ns", "two"), Some(&two), None);
        index.replace(&ObjectKey::new("other", "three"), Some(&one), None);
        assert!(index.objects.is_empty());
    }
}
