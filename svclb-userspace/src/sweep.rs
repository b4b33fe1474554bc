//! Frees expired flows now and then. The kernel programs are safe without it; it makes room before
//! a new flow has to look for it, and writes `occupancy`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aya::{TestRun, TestRunOptions, programs::SchedClassifier};
use svclb_common::layout::size;

use crate::{
    loader::{Loaded, program},
    pins::Pins,
};

/// How often all flow records are looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Runs the program `sweep`.
#[derive(Debug)]
pub struct Sweeper {
    program: SchedClassifier,
    slots: u32,
}

impl Sweeper {
    /// A sweeper over all flow records of both families.
    ///
    /// # Errors
    ///
    /// Fails if the program or the map `flows4` is missing.
    pub fn new(loaded: &mut Loaded, pins: &Pins) -> Result<Self> {
        let layout = pins.layout("flows4")?.context("map flows4 is not pinned")?;
        Ok(Self { program: loaded.program(program::SWEEP)?, slots: layout.max_entries })
    }

    /// Looks at every record once, and returns how long that took. Blocks, a few milliseconds for
    /// a hundred thousand records.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not run the program.
    pub fn run(&self) -> Result<Duration> {
        let started = Instant::now();
        for first in (0..self.slots).step_by(size::SWEEP_STRIDE as usize) {
            let packet = request(first);
            let options = TestRunOptions { data_in: Some(&packet), ..TestRunOptions::new() };
            self.program.test_run(options).context("run the program sweep")?;
        }
        Ok(started.elapsed())
    }
}

/// The packet that tells the program at which record to begin: its first four bytes.
fn request(first: u32) -> [u8; 64] {
    let mut packet = [0; 64];
    packet[..4].copy_from_slice(&first.to_ne_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_with_the_first_record() {
        assert_eq!(request(8192)[..5], [8192_u32.to_ne_bytes().as_slice(), &[0]].concat());
    }
}
