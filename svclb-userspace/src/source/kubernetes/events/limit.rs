//! How often something is told.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// The same reason is not told again of the same object for this long.
const QUIET: Duration = Duration::from_secs(600);
/// Concerns that are remembered; with more than that, new ones are not told.
const CONCERNS: usize = 4096;

/// What was told lately, by object and reason.
#[derive(Debug)]
pub(super) struct Limit<C> {
    told: HashMap<C, Instant>,
}

impl<C> Default for Limit<C> {
    fn default() -> Self {
        Self { told: HashMap::new() }
    }
}

impl<C: Clone + Eq + Hash> Limit<C> {
    /// Whether to tell of it now; then it counts as told.
    pub(super) fn admits(&mut self, concern: &C, now: Instant) -> bool {
        self.told.retain(|_, at| now.saturating_duration_since(*at) < QUIET);
        let new = !self.told.contains_key(concern) && self.told.len() < CONCERNS;
        if new {
            self.told.insert(concern.clone(), now);
        }
        new
    }

    /// It could not be told.
    pub(super) fn forget(&mut self, concern: &C) {
        self.told.remove(concern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        problem::{Concern, Reason},
        snapshot::ObjectKey,
    };

    fn concern(name: &str, reason: Reason) -> Concern {
        Concern { service: ObjectKey::new("ns", name), reason }
    }

    #[test]
    fn a_reason_is_told_once_in_ten_minutes_for_each_service() {
        let mut limit = Limit::default();
        let now = Instant::now();
        let web = concern("web", Reason::NotServed);
        assert!(limit.admits(&web, now));
        assert!(!limit.admits(&web, now + QUIET / 2));
        assert!(limit.admits(&concern("web", Reason::AddressInUse), now));
        assert!(limit.admits(&concern("dns", Reason::NotServed), now));
        assert!(limit.admits(&web, now + QUIET));
    }

    #[test]
    fn what_could_not_be_told_may_be_told_again() {
        let mut limit = Limit::default();
        let now = Instant::now();
        let web = concern("web", Reason::NotServed);
        assert!(limit.admits(&web, now));
        limit.forget(&web);
        assert!(limit.admits(&web, now));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut limit = Limit::default();
        let now = Instant::now();
        let told = (0..2 * CONCERNS)
            .filter(|i| limit.admits(&concern(&i.to_string(), Reason::NotServed), now))
            .count();
        assert_eq!(told, CONCERNS);
        assert!(limit.admits(&concern("later", Reason::NotServed), now + QUIET));
    }
}
