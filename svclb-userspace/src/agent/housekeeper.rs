//! What has to look at the whole flow table now and then, off the thread that writes services.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use svclb_common::tuple::TCP;
use tracing::{debug, info, warn};

use super::pressure::Pressure;
use crate::{
    flow_table::{FlowRecord, FlowTable},
    metrics::Counters,
    pins::Pins,
    plan::{LiveFlows, operation::Family},
    severed::Teller,
    source::kubernetes::Reporter,
    stranded::{self, Backends, Places, Stranded},
    sweep::Sweeper,
};

/// Sweeps and scans the flow table, tells the ends of severed connections, closes stranded sockets,
/// and tells when the table is too small.
pub(super) struct Housekeeper {
    sweeper: Sweeper,
    flows: FlowTable,
    /// Without one, they are told when they send something.
    teller: Option<Teller>,
    counters: Counters,
    pressure: Mutex<Pressure>,
    reporter: Option<Reporter>,
    /// None where no sockets are translated.
    stranded: Option<Stranded>,
    /// Whether it has been said that sockets cannot be closed.
    said: AtomicBool,
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
    /// Over the flow table that is pinned, and the sockets of `places`; `reporter` is told when the
    /// table is too small.
    pub(super) fn new(
        sweeper: Sweeper,
        pins: &Pins,
        places: Option<Places>,
        reporter: Option<Reporter>,
    ) -> Result<Self> {
        let teller = Teller::new().inspect_err(|error| {
            let error = format!("{error:#}");
            warn!(error, "idle clients are not told that their endpoint has vanished");
        });
        Ok(Self {
            sweeper,
            flows: FlowTable::open(pins)?,
            teller: teller.ok(),
            counters: Counters::open(pins)?,
            pressure: Mutex::default(),
            reporter,
            stranded: places.map(|places| Stranded::new(pins, places)).transpose()?,
            said: AtomicBool::new(false),
        })
    }

    /// Ends the flows that are over, closes sockets of the backends that `left`, then looks at what
    /// is left if `scan` is wanted. Blocks.
    pub(super) fn run(&self, scan: bool, left: &Backends) -> Result<Found> {
        let sockets = self.close(left);
        let swept = self.sweeper.run()?;
        debug!(micros = swept.took.as_micros(), "flows that are over freed");
        let untold = self.tell(&swept.untold)?;
        self.look_for_pressure()?;
        let scan = if scan { Some(self.scan(&sockets)?) } else { None };
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

    /// Closes stranded sockets. Where that cannot be done, svclb goes on without, and says so once.
    fn close(&self, left: &Backends) -> stranded::Found {
        let closed = self.stranded.as_ref().map(|stranded| stranded.close(left)).transpose();
        let found = closed.unwrap_or_else(|error| {
            if !self.said.swap(true, Ordering::Relaxed) {
                let error = format!("{error:#}");
                warn!(error, "sockets whose endpoint is gone are not closed");
            }
            None
        });
        let found = found.unwrap_or_default();
        if found.closed > 0 {
            info!(sockets = found.closed, "closed: their endpoint is gone");
        }
        found
    }

    fn scan(&self, sockets: &stranded::Found) -> Result<Scan> {
        let began = Instant::now();
        let mut live = self.flows.live()?;
        live.backends.extend(&sockets.live);
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
