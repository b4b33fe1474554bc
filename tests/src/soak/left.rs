//! What is left in the maps when all flows are over.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use svclb::{flow_table::FlowTable, pins::Pins};
use svclb_common::{
    address::{V4, V6},
    tuple::Tuple,
};

use crate::lab::{Node, wait_for};

/// How long flows may take to be forgotten, and entries that waited for them to be freed: the
/// longest time-out, and the longest that the agent waits before it looks at the flows again.
const PATIENCE: Duration = Duration::from_secs(150);

/// Entries of a node's maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Left {
    /// Flows of both families.
    pub(super) flows: usize,
    /// Index entries of both families, which hold the masquerade ports too.
    pub(super) tuples: usize,
    /// Endpoints of both families.
    pub(super) backends: usize,
}

impl Left {
    /// Of a node now.
    ///
    /// # Errors
    /// A map cannot be read, or the agent does not tell.
    pub(super) fn of(node: &Node) -> Result<Self> {
        let pins = Pins::on(node.bpffs())?;
        let metrics = node.metrics()?;
        let backends = |map| metrics.one("svclb_map_entries", &[("map", map)]);
        Ok(Self {
            flows: FlowTable::open(&pins)?.iter().collect::<Result<Vec<_>>>()?.len(),
            tuples: count::<V4>(&pins, "tuples4")? + count::<V6>(&pins, "tuples6")?,
            backends: (backends("backends4")? + backends("backends6")?) as usize,
        })
    }

    /// What is left once nothing but `backends` is, or else what stays.
    ///
    /// # Errors
    /// As [`Left::of`].
    pub(super) fn at_last(node: &Node, backends: usize) -> Result<Self> {
        let nothing = Self { flows: 0, tuples: 0, backends };
        let what = format!("{} to have {nothing:?}", node.name);
        let gone = wait_for(&what, PATIENCE, || {
            Self::of(node).map(|left| (left == nothing).then_some(left)).transpose()
        });
        gone.unwrap_or_else(|_| Self::of(node))
    }
}

fn count<A>(pins: &Pins, map: &str) -> Result<usize>
where
    Tuple<A>: Pod,
{
    let tuples: HashMap<MapData, Tuple<A>, u32> = pins.map(map)?;
    tuples.keys().try_fold(0, |count, key| {
        key.with_context(|| format!("map {map}"))?;
        Ok(count + 1)
    })
}
