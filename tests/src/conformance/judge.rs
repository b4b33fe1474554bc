//! Whether what was seen is what must be.

use super::{scenario::Scenario, seen::Seen};

/// A scenario and what either proxy has shown.
#[derive(Debug)]
pub struct Judged {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// What svclb has shown.
    pub svclb: String,
    /// What kube-proxy has shown.
    pub kube_proxy: String,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Both do what the contract says.
    Equal,
    /// svclb does what the contract says, kube-proxy what is known of it.
    Beyond,
    /// Something is not as the scenario says.
    Different,
}

impl Verdict {
    /// The name that tables show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Beyond => "beyond",
            Self::Different => "DIFFERENT",
        }
    }

    /// What a scenario's own word is.
    pub fn promised(scenario: &Scenario) -> Self {
        if scenario.expected.beyond.is_some() { Self::Beyond } else { Self::Equal }
    }
}

impl Judged {
    pub(super) fn new(scenario: &'static Scenario, svclb: Seen, kube_proxy: Seen) -> Self {
        Self { scenario, svclb: svclb.to_string(), kube_proxy: kube_proxy.to_string() }
    }

    /// Whether all is as the scenario says, and what that is.
    pub fn verdict(&self) -> Verdict {
        match self.complaints().is_empty() {
            true => Verdict::promised(self.scenario),
            false => Verdict::Different,
        }
    }

    /// What is not as the scenario says; empty if all is.
    pub fn complaints(&self) -> Vec<String> {
        let expected = &self.scenario.expected;
        let mut complaints = Vec::new();
        if self.svclb != expected.contract {
            complaints.push(format!("svclb: {}, not {}", self.svclb, expected.contract));
        }
        if self.kube_proxy != expected.kube_proxy() {
            let (seen, known) = (&self.kube_proxy, expected.kube_proxy());
            complaints.push(format!("kube-proxy: {seen}, not {known}"));
        }
        complaints
    }
}
