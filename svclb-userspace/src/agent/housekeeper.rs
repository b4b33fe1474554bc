//! What has to look at the whole flow table now and then, off the thread that writes services.

use std::time::Instant;

use anyhow::Result;
use tracing::debug;

use crate::{flow_table::FlowTable, loader::Loaded, pins::Pins, plan::LiveFlows, sweep::Sweeper};

/// Sweeps and scans the flow table.
pub(super) struct Housekeeper {
    sweeper: Sweeper,
    flows: FlowTable,
}

/// What flows refered to, in a scan that began at the time given.
pub(super) type Scan = (Instant, LiveFlows);

impl Housekeeper {
    pub(super) fn new(loaded: &mut Loaded, pins: &Pins) -> Result<Self> {
        Ok(Self { sweeper: Sweeper::new(loaded, pins)?, flows: FlowTable::open(pins)? })
    }

    /// Frees expired flows, then looks at what is left if `scan` is wanted. Blocks.
    pub(super) fn run(&self, scan: bool) -> Result<Option<Scan>> {
        let took = self.sweeper.run()?;
        debug!(micros = took.as_micros(), "expired flows freed");
        if !scan {
            return Ok(None);
        }
        let began = Instant::now();
        let live = self.flows.live()?;
        debug!(micros = began.elapsed().as_micros(), backends = live.backends.len(), "flows read");
        Ok(Some((began, live)))
    }
}
