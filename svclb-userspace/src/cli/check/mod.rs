//! `svclb check`: is this node fit for svclb?

mod devices;
mod firewall;
mod kernel;
mod routing;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::{
    Bpffs, Verdict,
    output::{Output, Row},
};

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    bpffs: Bpffs,
}

impl Check {
    pub(super) fn execute(self) -> Result<Verdict> {
        let mut findings = kernel::findings(&self.bpffs.bpffs);
        findings.extend(routing::findings());
        findings.extend(devices::findings());
        findings.extend(firewall::findings());
        self.output.print(&findings)?;
        let unfit = findings.iter().any(|finding| finding.result == Grade::Fail);
        Ok(if unfit { Verdict::Unfit } else { Verdict::Success })
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// As it should be.
    Ok,
    /// svclb works, but something may not do what it looks like.
    Warning,
    /// svclb cannot work.
    Fail,
    /// It could not be looked at.
    Unknown,
}

/// What one check has found.
#[derive(PartialEq, Eq, Debug, Serialize)]
struct Finding {
    check: &'static str,
    result: Grade,
    detail: String,
}

impl Finding {
    fn new(check: &'static str, result: Grade, detail: impl Into<String>) -> Self {
        Self { check, result, detail: detail.into() }
    }

    /// Ok or not, with a detail either way.
    fn of(check: &'static str, fits: bool, otherwise: Grade, detail: impl Into<String>) -> Self {
        Self::new(check, if fits { Grade::Ok } else { otherwise }, detail)
    }
}

impl Row for Finding {
    const TITLES: &'static [&'static str] = &["CHECK", "RESULT", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        let result = match self.result {
            Grade::Ok => "ok",
            Grade::Warning => "WARNING",
            Grade::Fail => "FAIL",
            Grade::Unknown => "unknown",
        };
        vec![self.check.to_owned(), result.to_owned(), self.detail.clone()]
    }
}
