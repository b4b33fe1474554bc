//! Waiting longer after each attempt in vain.

use std::time::{Duration, Instant};

/// When to try next.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    last: Duration,
    wait: Duration,
    at: Option<Instant>,
}

impl Backoff {
    /// Waits `first` after the first attempt in vain, then twice as long each time up to `last`.
    pub(super) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, wait: Duration::ZERO, at: None }
    }

    /// The time of the next attempt; `None` if the last one was not in vain.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Nothing is in vain any more.
    pub(super) fn reset(&mut self) {
        (self.wait, self.at) = (Duration::ZERO, None);
    }

    /// An attempt was in vain. One before its time does not put the next one off.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.at.is_none_or(|at| at <= now) {
            self.wait = (self.wait * 2).clamp(self.first, self.last);
            self.at = Some(now + self.wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(2))
    }

    #[test]
    fn waits_grow_up_to_a_limit() {
        let (mut backoff, mut now) = (backoff(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.failed(now);
            let at = backoff.at().expect("in vain");
            waits.push((at - now).as_millis());
            now = at;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.at(), None);
    }

    #[test]
    fn more_failures_do_not_put_an_attempt_off() {
        let (mut backoff, now) = (backoff(), Instant::now());
        backoff.failed(now);
        let first = backoff.at();
        backoff.failed(now + Duration::from_millis(50));
        assert_eq!(backoff.at(), first);
    }
}
