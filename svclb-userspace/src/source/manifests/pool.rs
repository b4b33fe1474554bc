//! Values that are given out, each to one holder.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// Who has which value: because its manifest says so (then several may, to their own harm), or
/// because it was given to it.
#[derive(Debug)]
pub(super) struct Pool<K, V> {
    given: HashMap<K, V>,
    holders: HashMap<V, K>,
    fixed: HashMap<K, V>,
    fixed_by: HashMap<V, BTreeSet<K>>,
}

impl<K, V> Default for Pool<K, V> {
    fn default() -> Self {
        let (given, holders) = (HashMap::new(), HashMap::new());
        Self { given, holders, fixed: HashMap::new(), fixed_by: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash, V: Copy + Eq + Hash> Pool<K, V> {
    /// `key` has `value`, whoever had it before: the one it was given to loses it and is returned.
    pub(super) fn fix(&mut self, key: &K, value: V) -> Option<K> {
        if self.fixed.get(key) != Some(&value) {
            self.forget(key);
            self.fixed.insert(key.clone(), value);
            self.fixed_by.entry(value).or_default().insert(key.clone());
        }
        let evicted = self.holders.remove(&value)?;
        self.given.remove(&evicted);
        Some(evicted)
    }

    /// `key` no longer insists on a value.
    pub(super) fn unfix(&mut self, key: &K) {
        let Some(value) = self.fixed.remove(key) else { return };
        if let Some(keys) = self.fixed_by.get_mut(&value) {
            keys.remove(key);
            if keys.is_empty() {
                self.fixed_by.remove(&value);
            }
        }
    }

    /// The value of `key`: the one it has, or the first of `candidates` that is free.
    pub(super) fn give(&mut self, key: &K, candidates: impl Iterator<Item = V>) -> Option<V> {
        if let Some(value) = self.fixed.get(key).or_else(|| self.given.get(key)) {
            return Some(*value);
        }
        let free = |value: &V| !self.holders.contains_key(value) && !self.is_fixed(value);
        let value = { candidates }.find(free)?;
        self.given.insert(key.clone(), value);
        self.holders.insert(value, key.clone());
        Some(value)
    }

    /// `key` is gone.
    pub(super) fn forget(&mut self, key: &K) {
        self.unfix(key);
        if let Some(value) = self.given.remove(key) {
            self.holders.remove(&value);
        }
    }

    fn is_fixed(&self, value: &V) -> bool {
        self.fixed_by.contains_key(value)
    }
}

/// All numbers below `size`, from one on that depends on `text` alone: the same in every run and
/// on every node.
pub(super) fn probe(text: &str, size: u64) -> impl Iterator<Item = u64> + use<> {
    // FNV-1a, which will not change under the addresses that Services have.
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let start = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    (0..size).map(move |i| (start % size + i) % size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_given_once_and_kept() {
        let mut pool = Pool::default();
        assert_eq!(pool.give(&"a", 1..), Some(1));
        assert_eq!(pool.give(&"a", 5..), Some(1));
        assert_eq!(pool.give(&"b", 1..), Some(2));
        pool.forget(&"a");
        assert_eq!(pool.give(&"c", 1..), Some(1));
        assert_eq!(pool.give(&"d", 1..3), None);
    }

    #[test]
    fn a_fixed_value_goes_before_a_given_one() {
        let mut pool = Pool::default();
        assert_eq!(pool.give(&"a", 1..), Some(1));
        assert_eq!(pool.fix(&"b", 1), Some("a"));
        assert_eq!(pool.give(&"a", 1..), Some(2));
        assert_eq!(pool.fix(&"c", 1), None, "two that insist on one value");
        pool.forget(&"b");
        assert_eq!(pool.give(&"d", 1..), Some(3), "c still has it");
        pool.unfix(&"c");
        assert_eq!(pool.give(&"e", 1..), Some(1));
    }

    #[test]
    fn who_insists_on_its_own_value_keeps_it() {
        let mut pool = Pool::default();
        assert_eq!(pool.give(&"a", 1..), Some(1));
        assert_eq!(pool.fix(&"a", 1), None);
        assert_eq!(pool.give(&"a", 1..), Some(1));
        assert_eq!(pool.fix(&"a", 7), None);
        assert_eq!(pool.give(&"b", 1..), Some(1));
    }

    #[test]
    fn probing_visits_every_number_once() {
        let mut seen: Vec<_> = probe("default/web", 100).collect();
        assert_eq!(seen, probe("default/web", 100).collect::<Vec<_>>());
        assert_ne!(seen[0], probe("default/web2", 100).next().unwrap_or(0));
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(probe("default/web", 0).count(), 0);
    }
}
