//! `svclb get backends`.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Result;
use serde::Serialize;
use svclb::{metrics::Counters, pins::Pins};
use svclb_common::frontend::backend_flags::{LOCAL, SERVING, VANISHED};

use super::{Counts, Get, Owner, state};
use crate::cli::output::Row;

/// An endpoint of a service port.
#[derive(Serialize)]
pub(super) struct BackendRow {
    #[serde(flatten)]
    owner: Owner,
    address: SocketAddr,
    /// New flows may go there; if not, it waits for its last flows.
    serving: bool,
    /// Its Service lists it no more.
    vanished: bool,
    /// It is on this node.
    local: bool,
    weight: u16,
    /// Its part of the flows of all its service's endpoints, in percent.
    share: f64,
    #[serde(flatten)]
    counts: Counts,
}

impl Row for BackendRow {
    const TITLES: &'static [&'static str] = &[
        "SERVICE",
        "PROTOCOL",
        "BACKEND",
        "STATE",
        "PLACE",
        "WEIGHT",
        "FLOWS",
        "SHARE",
        "PACKETS IN",
        "PACKETS OUT",
        "BYTES IN",
        "BYTES OUT",
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![
            self.owner.label(),
            self.owner.protocol.to_string(),
            self.address.to_string(),
            match (self.serving, self.vanished) {
                (true, _) => "serving",
                (false, false) => "leaving",
                (false, true) => "vanished",
            }
            .to_owned(),
            if self.local { "local" } else { "remote" }.to_owned(),
            self.weight.to_string(),
            self.counts.flows.to_string(),
            format!("{:.1}%", self.share),
        ];
        cells.extend(self.counts.cells());
        cells
    }
}

/// The endpoints of the service ports that `get` asks for, in order.
pub(super) fn list(pins: &Pins, get: &Get) -> Result<Vec<BackendRow>> {
    let state = state(pins)?;
    let traffic = Counters::open(pins)?;
    let mut rows = Vec::new();
    for (id, backend) in &state.backends {
        let Some((owner, port)) = state.names.get(&backend.service) else { continue };
        if !get.wants(owner) {
            continue;
        }
        rows.push(BackendRow {
            owner: Owner::new(owner, *port),
            address: backend.address,
            serving: backend.flags & SERVING != 0,
            vanished: backend.flags & VANISHED != 0,
            local: backend.flags & LOCAL != 0,
            weight: backend.weight,
            share: 0.0,
            counts: traffic.backend(*id)?.into(),
        });
    }
    rows.sort_by(|a, b| (&a.owner, a.address).cmp(&(&b.owner, b.address)));
    set_shares(&mut rows);
    Ok(rows)
}

fn set_shares(rows: &mut [BackendRow]) {
    let mut totals: BTreeMap<Owner, u64> = BTreeMap::new();
    for row in &*rows {
        *totals.entry(row.owner.clone()).or_default() += row.counts.flows;
    }
    for row in rows {
        row.share = percent(row.counts.flows, totals[&row.owner]);
    }
}

/// 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use svclb::plan::operation::{Family, Protocol};
    use svclb_common::counters::Traffic;

    use super::*;

    fn row(service: &str, flows: u64) -> BackendRow {
        BackendRow {
            owner: Owner {
                namespace: "default".into(),
                service: service.into(),
                port_name: String::new(),
                port: 80,
                protocol: Protocol::Tcp,
                family: Family::V4,
            },
            address: "10.0.0.1:80".parse().expect("address"),
            serving: true,
            vanished: false,
            local: false,
            weight: 1,
            share: 0.0,
            counts: Traffic { flows, ..Traffic::default() }.into(),
        }
    }

    #[test]
    fn shares_are_counted_within_a_service() {
        let mut rows = [row("a", 1), row("a", 3), row("b", 0)];
        set_shares(&mut rows);
        assert_eq!(rows.map(|row| row.share), [25.0, 75.0, 0.0]);
    }
}
