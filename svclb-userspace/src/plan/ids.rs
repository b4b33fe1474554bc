//! Ids that index an array map.

use std::collections::{HashSet, VecDeque};

/// Hands out ids from 1 on. An id that was given back comes out again as late as possible, so that
/// whoever still holds it (a counter's reader, a log line) is not led to another owner.
#[derive(Debug)]
pub(super) struct IdPool {
    limit: u32,
    next: u32,
    free: VecDeque<u32>,
}

impl IdPool {
    /// Ids below `limit`, but those in `used`.
    pub(super) fn new(limit: u32, used: &HashSet<u32>) -> Self {
        let next = used.iter().max().map_or(1, |highest| highest + 1);
        let free = (1..next).filter(|id| !used.contains(id)).collect();
        Self { limit, next, free }
    }

    /// An id that nobody has, if there is one left.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.next < self.limit {
            self.next += 1;
            return Some(self.next - 1);
        }
        self.free.pop_front()
    }

    /// Takes an id back.
    pub(super) fn give_back(&mut self, id: u32) {
        self.free.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_begin_at_one_and_come_back_in_order() {
        let mut pool = IdPool::new(4, &HashSet::new());
        assert_eq!([pool.take(), pool.take()], [Some(1), Some(2)]);
        pool.give_back(2);
        pool.give_back(1);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(3), Some(2), Some(1)]);
        assert_eq!(pool.take(), None);
    }

    #[test]
    fn used_ids_are_not_handed_out() {
        let mut pool = IdPool::new(6, &HashSet::from([2, 4]));
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken, [5, 1, 3]);
        assert_eq!(IdPool::new(3, &HashSet::from([1, 2])).take(), None);
    }
}
