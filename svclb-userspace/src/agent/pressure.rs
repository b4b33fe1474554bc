//! When the flow table is too small for what goes on: a warning, and how often.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use svclb_common::outcome::Outcome;

use crate::metrics::FlowTable;

/// A warning comes no sooner than this after the last one.
const QUIET: Duration = Duration::from_secs(60);
/// How much of a table may be taken by flows that are kept, in percent.
const KEPT: u64 = 80;

/// Looks at the flow tables now and then, and warns.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// What was counted up to the last warning, or to the first look.
    known: Option<Counted>,
    warned: Option<Instant>,
}

/// What the programs count when a table is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counted {
    /// Flows that made room without their clients' having gone on after an answer.
    evicted: u64,
    /// Flows that found no room.
    refused: u64,
}

impl Pressure {
    /// The warning that is due, if any: flows were cut or refused for want of room since the last
    /// one, or too much of a table is taken by flows that are never cut.
    pub(super) fn warning(
        &mut self,
        tables: &[FlowTable],
        outcomes: &[(Outcome, u64)],
        now: Instant,
    ) -> Option<String> {
        let counted = Counted::of(outcomes);
        // What an earlier agent's time has counted is no news.
        let known = *self.known.get_or_insert(counted);
        let new = counted.since(known);
        let waits = self.warned.is_some_and(|at| now.saturating_duration_since(at) < QUIET);
        let tight = tables.iter().any(is_tight);
        if waits || !tight && new == Counted::NOTHING {
            return None;
        }
        (self.known, self.warned) = (Some(counted), Some(now));
        Some(text(tables, new))
    }
}

impl Counted {
    const NOTHING: Self = Self { evicted: 0, refused: 0 };

    fn of(outcomes: &[(Outcome, u64)]) -> Self {
        let sum = |wanted: &[Outcome]| {
            outcomes.iter().filter(|(outcome, _)| wanted.contains(outcome)).map(|(_, n)| n).sum()
        };
        Self {
            evicted: sum(&[Outcome::Evicted, Outcome::AnsweredEvicted]),
            refused: sum(&[Outcome::FlowTableFull, Outcome::TupleTableFull]),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            evicted: self.evicted.saturating_sub(before.evicted),
            refused: self.refused.saturating_sub(before.refused),
        }
    }
}

fn is_tight(table: &FlowTable) -> bool {
    table.occupancy.kept() * 100 > u64::from(table.size) * KEPT
}

fn text(tables: &[FlowTable], Counted { evicted, refused }: Counted) -> String {
    let mut text = String::from("the flow table is under pressure (--max-flows):");
    for FlowTable { family, size, occupancy } in tables {
        let (flows, kept) = (occupancy.flows(), occupancy.kept());
        // Writing to a string cannot fail.
        let _ = write!(text, " {family} {flows} of {size} in use, {kept} of them established;");
    }
    let _ = write!(text, " {evicted} unconfirmed flows made room, {refused} new ones found none");
    text
}

#[cfg(test)]
mod tests {
    use svclb_common::counters::Occupancy;

    use super::*;
    use crate::plan::operation::Family;

    fn table(established: u64) -> [FlowTable; 1] {
        let occupancy = Occupancy { established, opening: 5, ..Occupancy::default() };
        [FlowTable { family: Family::V4, size: 1000, occupancy }]
    }

    fn counts(evicted: u64, refused: u64) -> [(Outcome, u64); 3] {
        [
            (Outcome::AnsweredEvicted, evicted),
            (Outcome::FlowTableFull, refused),
            (Outcome::Request, 1_000_000),
        ]
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_no_news() {
        let (mut pressure, now) = (Pressure::default(), Instant::now());
        assert_eq!(pressure.warning(&table(1), &counts(7, 7), now), None);
        let text = pressure.warning(&table(1), &counts(9, 8), now).expect("a warning");
        assert_eq!(
            text,
            "the flow table is under pressure (--max-flows): IPv4 6 of 1000 in use, 1 of them \
             established; 2 unconfirmed flows made room, 1 new ones found none"
        );
    }

    #[test]
    fn a_warning_comes_once_a_minute_and_tells_of_all_since_the_last() {
        let (mut pressure, now) = (Pressure::default(), Instant::now());
        let mut warning = |evicted, after| {
            pressure.warning(&table(1), &counts(evicted, 0), now + Duration::from_secs(after))
        };
        assert_eq!(warning(0, 0), None);
        assert!(warning(1, 5).is_some());
        assert_eq!(warning(4, 10), None, "too soon");
        let text = warning(6, 65).expect("a minute later");
        assert!(text.contains("; 5 unconfirmed flows made room"), "{text}");
        assert_eq!(warning(6, 200), None, "nothing new");
    }

    #[test]
    fn a_table_full_of_established_flows_is_told_before_it_refuses() {
        let (mut pressure, now) = (Pressure::default(), Instant::now());
        assert_eq!(pressure.warning(&table(800), &counts(0, 0), now), None);
        assert!(pressure.warning(&table(801), &counts(0, 0), now).is_some());
    }
}
