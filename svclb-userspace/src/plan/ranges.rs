//! Ranges of the flat array of slots.

use std::collections::{BTreeMap, BTreeSet};

/// Consecutive slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) len: u32,
}

impl Range {
    /// Whether the slot is one of them.
    pub(super) fn contains(self, slot: u32) -> bool {
        slot >= self.first && slot - self.first < self.len
    }
}

/// Hands out ranges, the tightest fit first; neighbours that are free become one.
#[derive(Debug)]
pub(super) struct RangePool {
    by_first: BTreeMap<u32, u32>,
    by_len: BTreeSet<(u32, u32)>,
}

impl RangePool {
    /// `size` free slots.
    pub(super) fn new(size: u32) -> Self {
        let mut pool = Self { by_first: BTreeMap::new(), by_len: BTreeSet::new() };
        pool.insert(Range { first: 0, len: size });
        pool
    }

    /// `len` consecutive slots, if there are so many. The empty range is always there.
    pub(super) fn take(&mut self, len: u32) -> Option<Range> {
        if len == 0 {
            return Some(Range::default());
        }
        let (free, first) = *self.by_len.range((len, 0)..).next()?;
        self.remove(first, free);
        self.insert(Range { first: first + len, len: free - len });
        Some(Range { first, len })
    }

    /// Takes exactly `range`; `false` if a part of it is not free.
    pub(super) fn reserve(&mut self, range: Range) -> bool {
        let Some(end) = range.first.checked_add(range.len) else { return false };
        let Some((&first, &len)) = self.by_first.range(..=range.first).next_back() else {
            return range.len == 0;
        };
        if range.len == 0 {
            return true;
        }
        if first + len < end {
            return false;
        }
        self.remove(first, len);
        self.insert(Range { first, len: range.first - first });
        self.insert(Range { first: end, len: first + len - end });
        true
    }

    /// Takes a range back.
    pub(super) fn give_back(&mut self, range: Range) {
        let Range { mut first, mut len } = range;
        if let Some((&before, &before_len)) = self.by_first.range(..first).next_back()
            && before + before_len == first
        {
            self.remove(before, before_len);
            first = before;
            len += before_len;
        }
        if let Some(&after_len) = self.by_first.get(&(first + len)) {
            self.remove(first + len, after_len);
            len += after_len;
        }
        self.insert(Range { first, len });
    }

    fn insert(&mut self, range: Range) {
        if range.len > 0 {
            self.by_first.insert(range.first, range.len);
            self.by_len.insert((range.len, range.first));
        }
    }

    fn remove(&mut self, first: u32, len: u32) {
        self.by_first.remove(&first);
        self.by_len.remove(&(len, first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, len: u32) -> Range {
        Range { first, len }
    }

    #[test]
    fn the_tightest_fit_is_taken() {
        let mut pool = RangePool::new(10);
        let taken: Vec<_> = [4, 1, 2, 1].map(|len| pool.take(len).unwrap()).to_vec();
        assert_eq!(taken, [range(0, 4), range(4, 1), range(5, 2), range(7, 1)]);
        pool.give_back(range(0, 4));
        pool.give_back(range(5, 2));
        assert_eq!(pool.take(2), Some(range(5, 2)), "2 fits better into 2 than into 4");
        assert_eq!(pool.take(5), None);
        assert_eq!(pool.take(0), Some(range(0, 0)));
    }

    #[test]
    fn neighbours_become_one() {
        let mut pool = RangePool::new(9);
        let [a, b, c] = [3, 3, 3].map(|len| pool.take(len).unwrap());
        for freed in [a, c, b] {
            pool.give_back(freed);
        }
        assert_eq!(pool.take(9), Some(range(0, 9)));
    }

    #[test]
    fn a_range_in_use_can_be_reserved_once() {
        let mut pool = RangePool::new(10);
        assert!(pool.reserve(range(3, 4)));
        for taken in [range(3, 4), range(0, 4), range(6, 2), range(8, 3), range(u32::MAX, 2)] {
            assert!(!pool.reserve(taken), "{taken:?}");
        }
        assert!(pool.reserve(range(5, 0)));
        assert!(pool.reserve(range(0, 3)) && pool.reserve(range(7, 3)));
        assert_eq!(pool.take(1), None);
        assert!(pool.reserve(range(0, 0)));
    }
}
