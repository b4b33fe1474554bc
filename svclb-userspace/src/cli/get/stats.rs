//! `svclb get stats`.

use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use serde::Serialize;
use svclb::{
    flow_table::monotonic_ns,
    pins::Pins,
    plan::{kernel::KernelState, operation::Family},
};
use svclb_common::{counters::Occupancy, frontend::Device, outcome::Outcome};

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
    size: u32,
    expired: u64,
    /// Seconds since the sweep; none if there was none yet.
    age: Option<f64>,
}

impl Row for FlowsRow {
    const TITLES: &'static [&'static str] =
        &["FLOWS", "IN USE", "OPENING", "SIZE", "EXPIRED AT LAST SWEEP", "SWEPT"];

    fn cells(&self) -> Vec<String> {
        let swept = self.age.map_or("never".to_owned(), |age| format!("{age:.1}s ago"));
        vec![
            self.family.to_string(),
            self.flows.to_string(),
            self.opening.to_string(),
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
    Ok(Stats { outcomes: outcomes(pins)?, flows: flows(pins)?, maps: maps(pins)? })
}

fn outcomes(pins: &Pins) -> Result<Vec<OutcomeRow>> {
    let counters: PerCpuArray<MapData, u64> = pins.map("outcomes")?;
    let row = |(index, outcome): (u32, &Outcome)| {
        let values = counters.get(&index, 0).context("map outcomes")?;
        Ok(OutcomeRow {
            outcome: outcome.name(),
            kind: outcome.kind().name(),
            count: values.iter().sum(),
            description: outcome.description(),
        })
    };
    (0..).zip(Outcome::ALL).map(row).collect()
}

fn flows(pins: &Pins) -> Result<Vec<FlowsRow>> {
    let occupancy: Array<MapData, Occupancy> = pins.map("occupancy")?;
    let now_ns = monotonic_ns()?;
    let row = |(index, family, map): (u32, Family, &str)| {
        let found = occupancy.get(&index, 0).context("map occupancy")?;
        let age = now_ns.saturating_sub(found.at_ns) as f64 / 1e9;
        Ok(FlowsRow {
            family,
            flows: found.flows,
            opening: found.opening,
            size: size(pins, map)?,
            expired: found.expired,
            age: (found.at_ns != 0).then_some(age),
        })
    };
    [(0, Family::V4, "flows4"), (1, Family::V6, "flows6")].into_iter().map(row).collect()
}

fn maps(pins: &Pins) -> Result<Vec<MapRow>> {
    let state = state(pins)?;
    let of_family = |family| {
        let frontends = state.frontends.keys().filter(|key| key.family() == family).count();
        let of = |ip| Family::of(ip) == family;
        let backends = state.backends.values().filter(|b| of(b.address.ip())).count();
        (frontends, backends)
    };
    let ((frontends4, backends4), (frontends6, backends6)) =
        (of_family(Family::V4), of_family(Family::V6));
    let devices: HashMap<MapData, u32, Device> = pins.map("devices")?;
    let used = [
        ("frontends4", frontends4),
        ("frontends6", frontends6),
        ("services", state.names.len()),
        ("slots", slots(&state)),
        ("backends4", backends4),
        ("backends6", backends6),
        ("devices", devices.keys().count()),
    ];
    used.map(|(map, used)| Ok(MapRow { map, used, size: size(pins, map)? })).into_iter().collect()
}

fn slots(state: &KernelState) -> usize {
    state.services.values().map(|service| service.slots as usize).sum()
}

fn size(pins: &Pins, map: &str) -> Result<u32> {
    let layout = pins.layout(map)?.with_context(|| format!("map {map} is not pinned"))?;
    Ok(layout.max_entries)
}
