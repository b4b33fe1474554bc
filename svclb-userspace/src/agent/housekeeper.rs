//! What has to look at the whole flow table now and then, off the thread that writes services.

use std::time::Instant;

use anyhow::Result;
use tracing::{debug, warn};

use crate::{
    flow_table::{FlowRecord, FlowTable},
    loader::Loaded,
    pins::Pins,
    plan::{LiveFlows, operation::Family},
    severed::Teller,
    sweep::Sweeper,
};

/// Sweeps and scans the flow table, and tells the ends of severed connections.
pub(super) struct Housekeeper {
    sweeper: Sweeper,
    flows: FlowTable,
    /// Without one, they are told when they send something.
    teller: Option<Teller>,
}

/// What flows refered to, in a scan that began at the time given.
pub(super) type Scan = (Instant, LiveFlows);

/// What a pass over the flow table has found.
pub(super) struct Found {
    /// What flows refer to, if that was asked.
    pub(super) scan: Option<Scan>,
    /// Whether an end of a severed connection has yet to be told.
    pub(super) untold: bool,
}

impl Housekeeper {
    pub(super) fn new(loaded: &mut Loaded, pins: &Pins) -> Result<Self> {
        let teller = Teller::new().inspect_err(|error| {
            let error = format!("{error:#}");
            warn!(error, "idle clients are not told that their endpoint has vanished");
        });
        let (sweeper, flows) = (Sweeper::new(loaded, pins)?, FlowTable::open(pins)?);
        Ok(Self { sweeper, flows, teller: teller.ok() })
    }

    /// Ends the flows that are over, then looks at what is left if `scan` is wanted. Blocks.
    pub(super) fn run(&self, scan: bool) -> Result<Found> {
        let swept = self.sweeper.run()?;
        debug!(micros = swept.took.as_micros(), "flows that are over freed");
        let untold = self.tell(&swept.untold)?;
        let scan = if scan { Some(self.scan()?) } else { None };
        Ok(Found { scan, untold })
    }

    /// Tells the ends of these severed connections; whether there are any.
    fn tell(&self, untold: &[(Family, u32)]) -> Result<bool> {
        let Some(teller) = &self.teller else { return Ok(false) };
        let mut flows = Vec::new();
        for (family, number) in untold {
            // It may have been given to another flow since.
            let flow = self.flows.get(*family, *number)?;
            flows.extend(flow.filter(|flow: &FlowRecord| flow.facts.is_severed()));
        }
        if !flows.is_empty() {
            let segments = teller.tell(&flows);
            debug!(flows = flows.len(), segments, "ends of severed connections told");
        }
        Ok(!flows.is_empty())
    }

    fn scan(&self) -> Result<Scan> {
        let began = Instant::now();
        let live = self.flows.live()?;
        debug!(micros = began.elapsed().as_micros(), backends = live.backends.len(), "flows read");
        Ok((began, live))
    }
}
