//! How many errors a CPU sends: a host must limit them (RFC 4443, section 2.4(f)).

/// A token bucket: [`Limit::RATE`] a second, as many at once.
#[repr(C)]
pub struct Limit {
    /// When tokens were last added: `CLOCK_MONOTONIC` nanoseconds.
    at_ns: u64,
    /// What is left.
    tokens: u64,
}

impl Limit {
    /// Tokens a second, and the most that there are at once. (Linux's own default for all CPUs
    /// together, `icmp_msgs_per_sec`.)
    const RATE: u64 = 1_000;
    const SECOND_NS: u64 = 1_000_000_000;

    /// Takes a token, if there is one.
    #[inline(always)]
    pub fn admits(&mut self, now_ns: u64) -> bool {
        let passed = now_ns.saturating_sub(self.at_ns).min(Self::SECOND_NS);
        let new = passed * Self::RATE / Self::SECOND_NS;
        if new != 0 {
            self.at_ns = now_ns;
            self.tokens = (self.tokens + new).min(Self::RATE);
        }
        let is_left = self.tokens != 0;
        self.tokens -= u64::from(is_left);
        is_left
    }
}
