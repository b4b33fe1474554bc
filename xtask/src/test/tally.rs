//! What passed, failed and was skipped.

use std::fmt;

/// What became of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It holds.
    Passed,
    /// It does not; the reason was printed.
    Failed,
    /// It could not be made, for this reason.
    Skipped(String),
}

/// The last line of a test binary.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    ignored: u64,
}

impl Summary {
    /// Reads a line; `None` if it is another.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut summary = Self::default();
        for part in line.strip_prefix("test result: ")?.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse() else { continue };
            match what {
                "passed" => summary.passed = number,
                "failed" => summary.failed = number,
                "ignored" => summary.ignored = number,
                _ => {}
            }
        }
        Some(summary)
    }
}

/// The account of a run.
#[derive(Default)]
pub(super) struct Tally {
    checks: Vec<(&'static str, Outcome)>,
    passed: u64,
    failed: u64,
    skipped: u64,
    /// What test binaries said of their failed tests, to be said again at the end: a log of
    /// hundreds of tests is read from there.
    failures: Vec<String>,
    in_failures: bool,
}

impl Tally {
    /// Adds a check of its own.
    pub(super) fn check(&mut self, name: &'static str, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
        self.checks.push((name, outcome));
    }

    /// Takes in a line of a test binary: the reports of failed tests, and the summary at its end.
    pub(super) fn line(&mut self, line: &str) {
        let Some(summary) = Summary::parse(line) else {
            self.in_failures |= line == "failures:";
            if self.in_failures {
                self.failures.push(line.to_owned());
            }
            return;
        };
        self.in_failures = false;
        self.passed += summary.passed;
        self.failed += summary.failed;
        self.skipped += summary.ignored;
    }

    /// Whether nothing failed and, where `strict`, nothing was skipped.
    pub(super) fn is_good(&self, strict: bool) -> bool {
        self.failed == 0 && (self.skipped == 0 || !strict)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failures.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        for (name, outcome) in &self.checks {
            match outcome {
                Outcome::Passed => writeln!(f, "  {name}: passed")?,
                Outcome::Failed => writeln!(f, "  {name}: FAILED")?,
                Outcome::Skipped(why) => writeln!(f, "  {name}: skipped, {why}")?,
            }
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; \
                           3 filtered out; finished in 0.00s";

    #[test]
    fn summaries_and_checks_add_up() {
        let mut tally = Tally::default();
        tally.line(SUMMARY);
        tally.line("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured");
        tally.line("test flow::tests::only_a_bare_syn_opens ... ok");
        tally.check("format", Outcome::Passed);
        assert!(tally.to_string().ends_with("16 passed, 2 failed, 1 skipped"));
        assert!(!tally.is_good(false));
    }

    #[test]
    fn failures_are_said_again_at_the_end() {
        let mut tally = Tally::default();
        for line in ["test a ... ok", "failures:", "---- b ----", "why", SUMMARY, "test c ... ok"] {
            tally.line(line);
        }
        let text = tally.to_string();
        assert!(text.starts_with("failures:\n---- b ----\nwhy\n"), "{text}");
        assert!(!text.contains("test c"));
    }

    #[test]
    fn a_skip_is_good_enough_outside_ci() {
        let mut tally = Tally::default();
        tally.check("clippy", Outcome::Skipped("it is not installed".into()));
        assert!(tally.is_good(false) && !tally.is_good(true));
        assert!(tally.to_string().contains("clippy: skipped, it is not installed"));
    }
}
