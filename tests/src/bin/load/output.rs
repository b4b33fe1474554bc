//! What a load has shown, as a table or JSON.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;
use svclb_tests::traffic::report::Report;

/// The form of the result.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// A report with the time that it took.
#[derive(Serialize)]
pub(crate) struct Summary {
    address: SocketAddr,
    seconds: f64,
    connections_per_second: f64,
    requests_per_second: f64,
    #[serde(flatten)]
    report: Report,
}

impl Summary {
    /// Runs a load, and takes the time.
    ///
    /// # Errors
    /// The load fails to run.
    pub(crate) fn of(address: SocketAddr, run: impl FnOnce() -> Result<Report>) -> Result<Self> {
        let begun = Instant::now();
        let report = run()?;
        Ok(Self::new(address, begun.elapsed(), report))
    }

    fn new(address: SocketAddr, taken: Duration, report: Report) -> Self {
        let seconds = taken.as_secs_f64();
        let connections: u64 = report.by_pod.values().sum();
        Self {
            address,
            seconds,
            connections_per_second: connections as f64 / seconds,
            requests_per_second: report.answered as f64 / seconds,
            report,
        }
    }

    /// Whether nothing failed, and something was answered.
    pub(crate) fn is_clean(&self) -> bool {
        self.report.failures() == 0 && self.report.answered > 0
    }

    /// Prints it.
    ///
    /// # Errors
    /// It cannot be put into JSON.
    pub(crate) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Table => println!("{self}"),
            Format::Json => {
                println!("{}", serde_json::to_string_pretty(self).context("as JSON")?);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, latency) = (&self.report, &self.report.latency);
        writeln!(f, "target       {}", self.address)?;
        writeln!(f, "time         {:.1} s", self.seconds)?;
        let connections: u64 = report.by_pod.values().sum();
        writeln!(f, "connections  {connections} ({:.0}/s)", self.connections_per_second)?;
        writeln!(f, "answers      {} ({:.0}/s)", report.answered, self.requests_per_second)?;
        writeln!(f, "failures     {}", report.failures())?;
        for (error, count) in &report.errors {
            writeln!(f, "  {count:>9}  {error}")?;
        }
        writeln!(f, "latency      50 %      90 %      99 %      99.9 %    longest")?;
        write!(f, "            ")?;
        for us in [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us]
        {
            write!(f, " {:<9}", milliseconds(us))?;
        }
        write!(f, "\nbackends     share     connections")?;
        for (name, count) in &report.by_pod {
            let share = format!("{:.1} %", 100.0 * *count as f64 / connections as f64);
            write!(f, "\n             {share:<9} {count:<12} {name}")?;
        }
        Ok(())
    }
}

fn milliseconds(us: u64) -> String {
    format!("{:.2} ms", us as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn summary() -> Summary {
        let mut report = Report::default();
        for (name, count) in [("shop-1", 3), ("shop-2", 1)] {
            (0..count).for_each(|_| report.connected(name.to_owned()));
        }
        (0..4).for_each(|_| report.answered(Duration::from_millis(2)));
        report.failed(&anyhow!("connection refused"));
        let address = "192.0.2.1:80".parse().unwrap();
        Summary::new(address, Duration::from_secs(2), report.finished())
    }

    #[test]
    fn a_table_tells_shares_errors_and_percentiles() {
        let table = summary().to_string();
        for part in ["75.0 %    3            shop-1", "1  connection refused", " 2.00 ms", "(2/s)"]
        {
            assert!(table.contains(part), "{part} in\n{table}");
        }
    }

    #[test]
    fn scripts_find_the_same() {
        let json = serde_json::to_value(summary()).unwrap();
        assert_eq!(json["by_pod"]["shop-1"], 3);
        assert_eq!(json["errors"]["connection refused"], 1);
        assert_eq!(json["latency"]["max_us"], 2_000);
        assert_eq!(json["requests_per_second"], 2.0);
    }

    #[test]
    fn only_a_load_without_failures_is_clean() {
        assert!(!summary().is_clean());
        let nothing = Summary::new(summary().address, Duration::from_secs(1), Report::default());
        assert!(!nothing.is_clean());
    }
}
