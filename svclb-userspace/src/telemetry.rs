//! Logs: what the agent does, as text or JSON lines on standard error.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use clap::ValueEnum;
use log::{Log, Metadata, Record};
use serde::{Deserialize, Serialize};
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use crate::events;

/// The form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Level of the log of the kernel programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual levels")]
pub enum KernelLog {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl KernelLog {
    /// The number that the kernel programs compare with (`aya_log_common::Level`); 0 is off.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Target of the kernel programs' log lines. Their own level filters them.
const KERNEL: &str = "bpf";

/// A library whose warnings the agent says itself, once.
const QUIET: &str = "kube_runtime=error";

/// Sends logs to standard error. `filter` is in the syntax of `RUST_LOG`.
///
/// # Errors
///
/// Fails if the filter cannot be parsed, or logs go somewhere already.
pub fn init(format: LogFormat, filter: &str) -> Result<()> {
    let all = format!("{QUIET},{filter},{KERNEL}=trace");
    let filter = EnvFilter::try_new(all).with_context(|| format!("log filter {filter}"))?;
    let logs = fmt().with_env_filter(filter).with_writer(io::stderr);
    let set = match format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => logs.json().flatten_event(true).finish().try_init(),
    };
    set.context("set up the log")
}

/// A task that hands the kernel programs' log lines on, for as long as it is polled.
///
/// # Errors
///
/// Fails if the programs have no log.
pub fn kernel_log(ebpf: &mut Ebpf) -> Result<impl Future<Output = Result<()>> + use<>> {
    let mut logger =
        EbpfLogger::init_with_logger(ebpf, Forward).context("the kernel programs' log")?;
    Ok(async move {
        let readiness = events::readiness(&logger)?;
        loop {
            let mut ready = readiness.readable().await?;
            ready.clear_ready();
            logger.flush();
        }
    })
}

/// Hands log lines of the kernel programs to the agent's own log.
struct Forward;

impl Log for Forward {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args();
        match record.level() {
            log::Level::Error => error!(target: KERNEL, "{message}"),
            log::Level::Warn => warn!(target: KERNEL, "{message}"),
            log::Level::Info => info!(target: KERNEL, "{message}"),
            log::Level::Debug => debug!(target: KERNEL, "{message}"),
            log::Level::Trace => trace!(target: KERNEL, "{message}"),
        }
    }

    fn flush(&self) {}
}
