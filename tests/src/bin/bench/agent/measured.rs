//! What was measured, as rows of text.

use std::{fmt, time::Duration};

use super::cost::Share;

/// Durations, all of them.
#[derive(Clone, Default, Debug)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(super) fn add(&mut self, taken: Duration) {
        self.0.push(taken);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest that at least `percent` of a hundred do not exceed; zero if there are none.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        Self(durations.into_iter().collect())
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for percent in [50, 99, 100] {
            let milliseconds = self.percentile(percent).as_secs_f64() * 1_000.0;
            write!(f, "{milliseconds:>9.2} ms")?;
        }
        write!(f, "  ({})", self.len())
    }
}

/// A row: what it is about, and what was measured.
pub(super) struct Row<T>(pub(super) &'static str, pub(super) T);

impl<T: fmt::Display> fmt::Display for Row<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14} {}", self.0, self.1)
    }
}

/// A share of a processor, of a time.
pub(super) fn share(share: Share, time: Duration) -> String {
    let (total, Share { user, system }, seconds) = (share.total(), share, time.as_secs_f64());
    format!("{total:.2} % of a processor over {seconds:.0} s: {user:.2} user, {system:.2} system")
}

/// Bytes in the unit that people compare.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Samples = (1..=200).rev().map(Duration::from_millis).collect();
        let at = |percent| samples.percentile(percent).as_millis();
        assert_eq!((at(50), at(99), at(100)), (100, 198, 200));
        assert_eq!(samples.to_string(), "   100.00 ms   198.00 ms   200.00 ms  (200)");
        let one: Samples = [Duration::from_millis(7)].into_iter().collect();
        assert_eq!(one.percentile(50), one.percentile(100));
        assert_eq!(Samples::default().percentile(99), Duration::ZERO);
    }
}
