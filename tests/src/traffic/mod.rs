//! The programs that talk in the lab: a server with a name, clients that check every answer.
//!
//! Clients are functions, to be called inside a namespace ([`crate::lab::Netns::run`]); the server
//! and command-line clients are the binary `lab-tool`.

pub mod conversation;
pub mod generator;
pub mod http;
pub mod load;
pub mod pattern;
pub mod peer;
pub mod ping;
pub mod probe;
pub mod report;
pub mod sctp;
pub mod server;
pub mod trace;
pub mod udp;
pub mod wait;

use std::{future::Future, time::Duration};

use anyhow::{Context, Result};

/// How long a request may take unless said otherwise: a lost packet is sent again after one, three
/// and seven seconds, so whoever needs this long has lost a connection.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a client to its end, on this thread.
///
/// # Errors
/// `future` fails, or there is no runtime to be had.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().context("no runtime")?.block_on(future)
}
