//! What has to look at the whole flow table now and then, off the thread that writes services.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use svclb_common::tuple::TCP;
use tracing::{debug, warn};

use super::pressure::Pressure;
use crate::{
    flow_table::{FlowRecord, FlowTable},
    loader::Loaded,
    metrics::Counters,
    pins::Pins,
    plan::{LiveFlows, operation::Family},
    severed::Teller,
    source::kubernetes::Reporter,
    sweep::Sweeper,
};

/// Sweeps and scans the flow table, tells the ends of severed connections, and tells when the table
/// is too small.
pub(super) struct Housekeeper {
    sweeper: Sweeper,
    flows: FlowTable,
    /// Without one, they are told when they send something.
    teller: Option<Teller>,
    counters: Counters,
    pressure: Mutex<Pressure>,
    reporter: Option<Reporter>,
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
    /// Over the flow table that is pinned; `reporter` is told when it is too small.
    pub(super) fn new(
        loaded: &mut Loaded,
        pins: &Pins,
        reporter: Option<Reporter>,
    ) -> Result<Self> {
        let teller = Teller::new().inspect_err(|error| {
            let error = format!("{error:#}");
            warn!(error, "idle clients are not told that their endpoint has vanished");
        });
        Ok(Self {
            sweeper: Sweeper::new(loaded, pins)?,
            flows: FlowTable::open(pins)?,
            teller: teller.ok(),
            counters: Counters::open(pins)?,
            pressure: Mutex::default(),
            reporter,
        })
    }

    /// Ends the flows that are over, then looks at what is left if `scan` is wanted. Blocks.
    pub(super) fn run(&self, scan: bool) -> Result<Found> {
        let swept = self.sweeper.run()?;
        debug!(micros = swept.took.as_micros(), "flows that are over freed");
        let untold = self.tell(&swept.untold)?;
        self.look_for_pressure()?;
        let scan = if scan { Some(self.scan()?) } else { None };
        Ok(Found { scan, untold })
    }

    /// Tells the ends of these severed connections; whether there are any.
    fn tell(&self, untold: &[(Family, u32)]) -> Result<bool> {
        let Some(teller) = &self.teller else { return Ok(false) };
        let is_severed = |flow: &FlowRecord| flow.facts.is_severed() && flow.facts.protocol == TCP;
        let mut flows = Vec::new();
        for (family, number) in untold {
            // It may have been given to another flow since.
            flows.extend(self.flows.get(*family, *number)?.filter(is_severed));
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
