//! What has to look at the whole flow table now and then, off the thread that writes services.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use tracing::{debug, warn};

use super::pressure::Pressure;
use crate::{
    flow_table::FlowTable, loader::Loaded, metrics::Counters, pins::Pins, plan::LiveFlows,
    source::kubernetes::Reporter, sweep::Sweeper,
};

/// Sweeps and scans the flow table, and tells when it is too small.
pub(super) struct Housekeeper {
    sweeper: Sweeper,
    flows: FlowTable,
    counters: Counters,
    pressure: Mutex<Pressure>,
    reporter: Option<Reporter>,
}

/// What flows refered to, in a scan that began at the time given.
pub(super) type Scan = (Instant, LiveFlows);

impl Housekeeper {
    /// Over the flow table that is pinned; `reporter` is told when it is too small.
    pub(super) fn new(
        loaded: &mut Loaded,
        pins: &Pins,
        reporter: Option<Reporter>,
    ) -> Result<Self> {
        Ok(Self {
            sweeper: Sweeper::new(loaded, pins)?,
            flows: FlowTable::open(pins)?,
            counters: Counters::open(pins)?,
            pressure: Mutex::default(),
            reporter,
        })
    }

    /// Frees expired flows, then looks at what is left if `scan` is wanted. Blocks.
    pub(super) fn run(&self, scan: bool) -> Result<Option<Scan>> {
        let took = self.sweeper.run()?;
        debug!(micros = took.as_micros(), "expired flows freed");
        self.look_for_pressure()?;
        if !scan {
            return Ok(None);
        }
        let began = Instant::now();
        let live = self.flows.live()?;
        debug!(micros = began.elapsed().as_micros(), backends = live.backends.len(), "flows read");
        Ok(Some((began, live)))
    }

    fn look_for_pressure(&self) -> Result<()> {
        let (tables, outcomes) = (self.counters.flow_tables()?, self.counters.outcomes()?);
        let mut pressure = self.pressure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(warning) = pressure.warning(&tables, &outcomes, Instant::now()) {
            warn!("{warning}");
            self.reporter.iter().for_each(|reporter| reporter.report_pressure(warning.clone()));
        }
        Ok(())
    }
}
