//! `svclb get services`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use svclb::{metrics::Counters, pins::Pins, plan::kernel::KernelState};
use svclb_common::frontend::backend_flags::SERVING;

use super::{Counts, Get, Owner, frontend_label, state};
use crate::cli::output::Row;

/// A service port of one family.
#[derive(Serialize)]
pub(super) struct ServiceRow {
    #[serde(flatten)]
    owner: Owner,
    frontends: Vec<String>,
    /// How many serve.
    backends: usize,
    #[serde(flatten)]
    counts: Counts,
}

impl Row for ServiceRow {
    const TITLES: &'static [&'static str] = &[
        "SERVICE",
        "PROTOCOL",
        "FAMILY",
        "FRONTENDS",
        "BACKENDS",
        "FLOWS",
        "PACKETS IN",
        "PACKETS OUT",
        "BYTES IN",
        "BYTES OUT",
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![
            self.owner.label(),
            self.owner.protocol.to_string(),
            self.owner.family.to_string(),
            self.frontends.join(","),
            self.backends.to_string(),
            self.counts.flows.to_string(),
        ];
        cells.extend(self.counts.cells());
        cells
    }
}

/// The service ports that `get` asks for, in order.
pub(super) fn list(pins: &Pins, get: &Get) -> Result<Vec<ServiceRow>> {
    let state = state(pins)?;
    let (frontends, backends) = (frontends(&state), serving(&state));
    let traffic = Counters::open(pins)?;
    let mut rows = Vec::new();
    for (id, (owner, port)) in state.names.iter().filter(|(_, (owner, _))| get.wants(owner)) {
        rows.push(ServiceRow {
            owner: Owner::new(owner, *port),
            frontends: frontends.get(id).cloned().unwrap_or_default(),
            backends: backends.get(id).copied().unwrap_or_default(),
            counts: traffic.service(*id)?.into(),
        });
    }
    rows.sort_by(|a, b| a.owner.cmp(&b.owner));
    Ok(rows)
}

/// The frontends of each service id.
fn frontends(state: &KernelState) -> BTreeMap<u32, Vec<String>> {
    let mut by_service: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (address, frontend) in state.frontends.iter().filter(|(address, _)| !address.is_vip()) {
        by_service.entry(frontend.service).or_default().push(frontend_label(address));
    }
    by_service
}

/// How many backends of each service id serve.
fn serving(state: &KernelState) -> BTreeMap<u32, usize> {
    let mut by_service = BTreeMap::new();
    for backend in state.backends.values().filter(|backend| backend.flags & SERVING != 0) {
        *by_service.entry(backend.service).or_default() += 1;
    }
    by_service
}
