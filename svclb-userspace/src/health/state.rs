//! Whether the agent is well: decided from what it reports, without a clock of its own.

use std::time::{Duration, Instant, SystemTime};

/// What is known about the agent's work.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// A change may wait this long, and the main loop be silent.
    timeout: Duration,
    /// When the oldest change that is not in the maps yet was noticed.
    waiting_since: Option<Instant>,
    /// When the maps were last what they should be.
    updated: Option<SystemTime>,
    /// When the main loop was last seen at work.
    alive: Instant,
    /// Load balancers may send traffic here.
    node_eligible: bool,
}

/// A judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Verdict {
    /// No change waits too long, and the main loop runs.
    pub(super) healthy: bool,
    /// The node is to get new traffic.
    pub(super) node_eligible: bool,
    /// When the maps were last what they should be; now, if they are.
    pub(super) updated: Option<SystemTime>,
}

impl State {
    /// An agent that starts: well, and eligible until its node says otherwise.
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout, waiting_since: None, updated: None, alive: now, node_eligible: true }
    }

    /// A change was noticed that has to be written.
    pub(super) fn queued(&mut self, at: Instant) {
        self.waiting_since.get_or_insert(at);
    }

    /// The maps are what they should be.
    pub(super) fn updated(&mut self, at: SystemTime) {
        self.waiting_since = None;
        self.updated = Some(at);
    }

    /// The main loop has done something.
    pub(super) fn alive(&mut self, now: Instant) {
        self.alive = now;
    }

    /// Whether the node is to get new traffic.
    pub(super) fn set_node_eligible(&mut self, eligible: bool) {
        self.node_eligible = eligible;
    }

    /// How things stand.
    pub(super) fn judge(&self, now: Instant, wall: SystemTime) -> Verdict {
        let in_time = |since: Instant| now.saturating_duration_since(since) < self.timeout;
        let healthy = self.waiting_since.is_none_or(in_time) && in_time(self.alive);
        let updated = if healthy { Some(wall) } else { self.updated };
        Verdict { healthy, node_eligible: self.node_eligible, updated }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    /// A state at its start, and that time on both clocks.
    fn start() -> (State, Instant, SystemTime) {
        let now = Instant::now();
        (State::new(TIMEOUT, now), now, UNIX_EPOCH + 1000 * SECOND)
    }

    #[test]
    fn an_agent_that_starts_is_well() {
        let (state, now, wall) = start();
        let expected = Verdict { healthy: true, node_eligible: true, updated: Some(wall) };
        assert_eq!(state.judge(now, wall), expected);
    }

    #[test]
    fn a_change_may_wait_until_the_timeout() {
        let (mut state, now, wall) = start();
        state.updated(wall);
        state.queued(now);
        state.queued(now + 30 * SECOND);
        let late = now + TIMEOUT;
        state.alive(late);
        assert!(state.judge(late - SECOND, wall + TIMEOUT).healthy);
        let verdict = state.judge(late, wall + TIMEOUT);
        assert_eq!((verdict.healthy, verdict.updated), (false, Some(wall)));
        state.updated(wall + TIMEOUT);
        assert!(state.judge(late, wall + TIMEOUT).healthy);
    }

    #[test]
    fn a_change_after_an_update_waits_anew() {
        let (mut state, now, wall) = start();
        state.queued(now);
        state.updated(wall);
        let later = now + 50 * SECOND;
        state.queued(later);
        state.alive(later + 59 * SECOND);
        assert!(state.judge(later + 59 * SECOND, wall).healthy);
        assert!(!state.judge(later + TIMEOUT, wall).healthy);
    }

    #[test]
    fn a_main_loop_that_stands_still_is_not_well() {
        let (mut state, now, wall) = start();
        assert!(!state.judge(now + TIMEOUT, wall).healthy);
        state.alive(now + TIMEOUT);
        assert!(state.judge(now + TIMEOUT, wall).healthy);
    }

    #[test]
    fn a_node_that_leaves_is_not_eligible_but_well() {
        let (mut state, now, wall) = start();
        state.set_node_eligible(false);
        let verdict = state.judge(now, wall);
        assert!(verdict.healthy && !verdict.node_eligible);
        state.set_node_eligible(true);
        assert!(state.judge(now, wall).node_eligible);
    }
}
