//! `svclb get stats`.

use anyhow::Result;
use serde::Serialize;
use svclb::{
    flow_table::monotonic_ns,
    metrics::{Counters, FlowTable, MapUse},
    pins::Pins,
    plan::operation::Family,
};
use svclb_common::outcome::Outcome;

use super::state;
use crate::cli::output::{Report, Row, Table};

/// What became of packets, and how full the maps are.
#[derive(Serialize)]
pub(super) struct Stats {
    outcomes: Vec<OutcomeRow>,
    flows: Vec<FlowsRow>,
    maps: Vec<MapRow>,
}

impl Report for Stats {
    fn tables(&self) -> Vec<Table> {
        vec![Table::of(&self.outcomes), Table::of(&self.flows), Table::of(&self.maps)]
    }
}

/// How often one thing has become of a packet.
#[derive(Serialize)]
struct OutcomeRow {
    outcome: &'static str,
    kind: &'static str,
    count: u64,
    description: &'static str,
}

impl Row for OutcomeRow {
    const TITLES: &'static [&'static str] = &["OUTCOME", "KIND", "COUNT", "DESCRIPTION"];

    fn cells(&self) -> Vec<String> {
        let Self { outcome, kind, count, description } = self;
        vec![(*outcome).into(), (*kind).into(), count.to_string(), (*description).into()]
    }
}

/// The flow table of one family, as the last sweep found it.
#[derive(Serialize)]
struct FlowsRow {
    family: Family,
    flows: u64,
    opening: u64,
    answered: u64,
    established: u64,
    closing: u64,
    closed: u64,
    size: u32,
    expired: u64,
    /// Seconds since the sweep; none if there was none yet.
    age: Option<f64>,
}

impl Row for FlowsRow {
    const TITLES: &'static [&'static str] = &[
        "FLOWS",
        "IN USE",
        "OPENING",
        "ANSWERED",
        "ESTABLISHED",
        "CLOSING",
        "CLOSED",
        "SIZE",
        "EXPIRED AT LAST SWEEP",
        "SWEPT",
    ];

    fn cells(&self) -> Vec<String> {
        let swept = self.age.map_or("never".to_owned(), |age| format!("{age:.1}s ago"));
        vec![
            self.family.to_string(),
            self.flows.to_string(),
            self.opening.to_string(),
            self.answered.to_string(),
            self.established.to_string(),
            self.closing.to_string(),
            self.closed.to_string(),
            self.size.to_string(),
            self.expired.to_string(),
            swept,
        ]
    }
}

/// How full a map is.
#[derive(Serialize)]
struct MapRow {
    map: &'static str,
    used: usize,
    size: u32,
}

impl Row for MapRow {
    const TITLES: &'static [&'static str] = &["MAP", "USED", "SIZE", "FULL"];

    fn cells(&self) -> Vec<String> {
        let full = self.used as f64 * 100.0 / f64::from(self.size.max(1));
        let Self { map, used, size } = self;
        vec![(*map).into(), used.to_string(), size.to_string(), format!("{full:.1}%")]
    }
}

/// Reads everything.
pub(super) fn read(pins: &Pins) -> Result<Stats> {
    let counters = Counters::open(pins)?;
    Ok(Stats {
        outcomes: outcomes(&counters)?,
        flows: flows(&counters)?,
        maps: maps(pins, &counters)?,
    })
}

fn outcomes(counters: &Counters) -> Result<Vec<OutcomeRow>> {
    let row = |(outcome, count): (Outcome, u64)| OutcomeRow {
        outcome: outcome.name(),
        kind: outcome.kind().name(),
        count,
        description: outcome.description(),
    };
    Ok(counters.outcomes()?.into_iter().map(row).collect())
}

fn flows(counters: &Counters) -> Result<Vec<FlowsRow>> {
    let now_ns = monotonic_ns()?;
    let row = |FlowTable { family, size, occupancy }| {
        let age = now_ns.saturating_sub(occupancy.at_ns) as f64 / 1e9;
        FlowsRow {
            family,
            flows: occupancy.flows(),
            opening: occupancy.opening,
            answered: occupancy.answered,
            established: occupancy.established,
            closing: occupancy.closing,
            closed: occupancy.closed,
            size,
            expired: occupancy.expired,
            age: (occupancy.at_ns != 0).then_some(age),
        }
    };
    Ok(counters.flow_tables()?.into_iter().map(row).collect())
}

fn maps(pins: &Pins, counters: &Counters) -> Result<Vec<MapRow>> {
    let used = MapUse::all(&state(pins)?).into_iter().chain([counters.devices()]);
    Ok(used.map(|MapUse { map, used }| MapRow { map, used, size: counters.size(map) }).collect())
}
