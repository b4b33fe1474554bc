//! Waiting for a condition, never for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long a condition that should come at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// Asks `condition` until it gives a value. `what` completes "timed out waiting for".
///
/// # Errors
/// No value within `limit`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("timed out after {limit:?} waiting for {what}");
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}
