//! When the flow table is passed over.

use std::time::{Duration, Instant};

use crate::sweep::INTERVAL;

/// How far passes that a change asks for are apart at least.
const APART: Duration = Duration::from_millis(250);
/// How soon a pass follows one that has found connections whose ends have yet to be told. (Linux
/// answers a wrong segment of a connection twice a second.)
const AGAIN: Duration = Duration::from_millis(600);

/// The regular rounds, and the passes between them.
#[derive(Debug)]
pub(super) struct Passes {
    round: Instant,
    between: Option<Instant>,
    not_before: Instant,
}

impl Passes {
    /// The first round is due `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { round: now, between: None, not_before: now }
    }

    /// When the next pass is due.
    pub(super) fn at(&self) -> Instant {
        self.between.map_or(self.round, |between| between.min(self.round))
    }

    /// A pass begins; whether it is one of the regular rounds.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        (self.between, self.not_before) = (None, now + APART);
        let is_round = self.round <= now;
        if is_round {
            self.round = now + INTERVAL;
        }
        is_round
    }

    /// Something has changed that flows may have depended on.
    pub(super) fn changed(&mut self, now: Instant) {
        self.want(now.max(self.not_before));
    }

    /// A pass has found somebody who has yet to be told.
    pub(super) fn untold(&mut self, now: Instant) {
        self.want(now + AGAIN);
    }

    fn want(&mut self, at: Instant) {
        self.between = Some(self.between.map_or(at, |between| between.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_regular_whatever_comes_between() {
        let start = Instant::now();
        let mut passes = Passes::new(start);
        assert_eq!(passes.at(), start);
        assert!(passes.begin(start));
        assert_eq!(passes.at(), start + INTERVAL);
        let later = start + Duration::from_secs(1);
        passes.changed(later);
        assert_eq!(passes.at(), later, "at once");
        assert!(!passes.begin(later));
        assert_eq!(passes.at(), start + INTERVAL);
        assert!(passes.begin(start + INTERVAL));
    }

    #[test]
    fn many_changes_share_a_pass() {
        let start = Instant::now();
        let mut passes = Passes::new(start);
        passes.begin(start);
        passes.changed(start);
        passes.changed(start + APART / 2);
        assert_eq!(passes.at(), start + APART);
    }

    #[test]
    fn whoever_has_not_been_told_is_visited_again_soon() {
        let start = Instant::now();
        let mut passes = Passes::new(start);
        passes.begin(start);
        passes.untold(start);
        assert_eq!(passes.at(), start + AGAIN);
        passes.changed(start);
        assert_eq!(passes.at(), start + APART, "a change does not wait for that");
    }
}
