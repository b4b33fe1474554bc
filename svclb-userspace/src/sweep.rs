//! Passes over the flow table: frees expired flows before a new one has to look for room, ends those
//! whose endpoint or frontend is gone, and writes `occupancy`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aya::{TestRun, TestRunOptions, programs::SchedClassifier};
use svclb_common::{layout::size, sweep};

use crate::{
    loader::{Loaded, program},
    pins::Pins,
    plan::operation::Family,
};

/// How often all flow records are looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What a sweep has found.
#[derive(Debug)]
pub struct Swept {
    /// How long it took.
    pub took: Duration,
    /// The numbers of the records of severed flows that have an end which has yet to be told.
    pub untold: Vec<(Family, u32)>,
}

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

    /// Looks at every record once. Blocks, a few milliseconds for a hundred thousand records.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not run the program.
    pub fn run(&self) -> Result<Swept> {
        let started = Instant::now();
        let mut untold = Vec::new();
        for first in (0..self.slots).step_by(size::SWEEP_STRIDE as usize) {
            let (request, mut answer) = (sweep::request(first), [0; sweep::LEN]);
            let options = TestRunOptions {
                data_in: Some(&request),
                data_out: Some(&mut answer),
                ..TestRunOptions::new()
            };
            self.program.test_run(options).context("run the program sweep")?;
            let records = sweep::set(&answer).map(|(family, index)| match family {
                0 => (Family::V4, first + index),
                _ => (Family::V6, first + index),
            });
            untold.extend(records);
        }
        Ok(Swept { took: started.elapsed(), untold })
    }
}
