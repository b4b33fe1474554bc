//! What a load generator saw.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

/// The sum of a run.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Report {
    /// Requests answered.
    pub answered: u64,
    /// Connections (or UDP sockets) by the pod that answered them.
    pub by_pod: BTreeMap<String, u64>,
    /// Failed connections and requests, by what went wrong.
    pub errors: BTreeMap<String, u64>,
    /// How long requests took, connecting included for the first of a connection.
    pub latency: Latency,
    #[serde(skip)]
    taken: Taken,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub struct Latency {
    /// Half of the requests took less.
    pub p50_us: u64,
    /// One in ten took longer.
    pub p90_us: u64,
    /// One in a hundred took longer.
    pub p99_us: u64,
    /// One in a thousand took longer.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// How long requests took, in microseconds with three digits: a long run takes no more memory than
/// a short one.
#[derive(Clone, Debug)]
struct Taken(Histogram<u64>);

impl Default for Taken {
    fn default() -> Self {
        Self(Histogram::new_with_max(LONGEST_US, 3).expect("bounds of a histogram"))
    }
}

impl Taken {
    fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("histograms of the same bounds");
    }
}

/// What counts as the longest: longer than any client waits.
const LONGEST_US: u64 = 600_000_000;

fn micros(taken: Duration) -> u64 {
    u64::try_from(taken.as_micros()).unwrap_or(LONGEST_US)
}

impl Report {
    /// Counts a connection that `pod` answered.
    pub fn connected(&mut self, pod: String) {
        *self.by_pod.entry(pod).or_default() += 1;
    }

    /// Counts an answered request.
    pub fn answered(&mut self, taken: Duration) {
        self.answered += 1;
        // Longer than the histogram holds is as long as it holds.
        self.taken.0.saturating_record(micros(taken));
    }

    /// Counts a failure.
    pub fn failed(&mut self, error: &anyhow::Error) {
        *self.errors.entry(format!("{error:#}")).or_default() += 1;
    }

    /// All failures.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Fails with what went wrong, if anything did.
    ///
    /// # Errors
    /// A connection or request failed.
    pub fn must_be_clean(&self) -> Result<()> {
        ensure!(
            self.errors.is_empty(),
            "{} of {} failed: {:#?}",
            self.failures(),
            self.failures() + self.answered,
            self.errors
        );
        Ok(())
    }

    /// Adds another report of the same run.
    pub fn merge(&mut self, other: Self) {
        self.answered += other.answered;
        self.taken.add(&other.taken);
        other.by_pod.into_iter().for_each(|(k, v)| *self.by_pod.entry(k).or_default() += v);
        other.errors.into_iter().for_each(|(k, v)| *self.errors.entry(k).or_default() += v);
    }

    /// Fills the percentiles in.
    #[must_use]
    pub fn finished(mut self) -> Self {
        let at = |quantile| self.taken.0.value_at_quantile(quantile);
        self.latency = Latency {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.taken.0.max(),
        };
        self
    }

    /// Pearson's chi-square of the connections over `pods` against equal shares; a pod that got
    /// none counts too.
    pub fn chi_square(&self, pods: &[&str]) -> f64 {
        let counts = pods.iter().map(|pod| self.by_pod.get(*pod).copied().unwrap_or_default());
        let total: u64 = counts.clone().sum();
        let expected = total as f64 / pods.len() as f64;
        counts.map(|count| (count as f64 - expected).powi(2) / expected).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_shares() {
        let mut report = Report::default();
        (1..=100).for_each(|ms| report.answered(Duration::from_millis(ms)));
        for (pod, n) in [("a", 10), ("b", 30)] {
            (0..n).for_each(|_| report.connected(pod.to_owned()));
        }
        let report = report.finished();
        let Latency { p50_us, p99_us, max_us, .. } = report.latency;
        for (percentile, exact) in [(p50_us, 50_000), (p99_us, 99_000), (max_us, 100_000)] {
            assert!(percentile.abs_diff(exact) <= exact / 1_000, "{percentile} for {exact}");
        }
        assert!((report.chi_square(&["a", "b"]) - 10.0).abs() < 1e-9);
        assert!(report.chi_square(&["a", "b", "c"]) > 30.0);
    }
}
