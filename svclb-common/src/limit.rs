//! How many ICMP messages a CPU sends.

use crate::plain_data;

/// A token bucket: [`Limit::RATE`] a second, as many at once. Value of `limits`.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Limit {
    /// When tokens were last added: `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// How many are left.
    pub tokens: u64,
}

const _: () = assert!(size_of::<Limit>() == 16);
plain_data!(Limit);

impl Limit {
    /// Tokens a second, and the most that there are at once: Linux's own default for a whole machine
    /// (`icmp_msgs_per_sec`).
    pub const RATE: u64 = 1_000;
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

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: u64 = 1 << 40;

    fn taken(limit: &mut Limit, now_ns: u64) -> u64 {
        (0..2 * Limit::RATE).map(|_| u64::from(limit.admits(now_ns))).sum()
    }

    #[test]
    fn a_full_bucket_is_what_one_second_allows() {
        let mut limit = Limit::default();
        assert_eq!(taken(&mut limit, LATE), Limit::RATE);
        assert_eq!(taken(&mut limit, LATE), 0);
        assert_eq!(taken(&mut limit, 100 * LATE), Limit::RATE, "no more than that is saved");
    }

    #[test]
    fn tokens_come_with_time_and_no_fraction_is_lost() {
        let mut limit = Limit::default();
        taken(&mut limit, LATE);
        let tick = Limit::SECOND_NS / 250;
        assert_eq!(taken(&mut limit, LATE + tick), 4);
        let little = Limit::SECOND_NS / Limit::RATE / 2;
        assert_eq!(taken(&mut limit, LATE + tick + little), 0);
        assert_eq!(taken(&mut limit, LATE + tick + 2 * little), 1);
    }

    #[test]
    fn a_clock_that_stands_behind_gives_nothing() {
        let mut limit = Limit { at_ns: u64::MAX, tokens: 1 };
        assert_eq!(taken(&mut limit, LATE), 1);
    }
}
