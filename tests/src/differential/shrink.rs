//! The shortest script that still shows a difference, within reason.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{replay, script::Step};

/// For how long shorter scripts are tried.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many of the last steps are tried alone.
const LAST: [usize; 5] = [16, 64, 256, 1024, 4096];

/// A script that differs, and what differs at its last step.
struct Found {
    steps: Vec<Step>,
    difference: Option<String>,
    until: Instant,
}

/// Leaves out what is not needed: the beginning, halves of the steps and smaller parts, services. The
/// first step, the tables, stays. Returns the steps and what differs at the last one, if the script
/// still does.
pub(super) fn shrink(steps: Vec<Step>) -> Result<(Vec<Step>, Option<String>)> {
    let difference = replay(&steps)?;
    let mut found = Found { steps, difference, until: Instant::now() + PATIENCE };
    if found.difference.is_some() {
        found.leave_out_beginning()?;
        found.leave_out_steps()?;
        found.leave_out_services()?;
    }
    Ok((found.steps, found.difference))
}

impl Found {
    /// Begins with the tables that are there before the last few steps.
    fn leave_out_beginning(&mut self) -> Result<()> {
        let steps = self.steps.len();
        for last in LAST.into_iter().filter(|last| *last < steps) {
            let (before, after) = self.steps.split_at(self.steps.len() - last);
            let tables = before.iter().rfind(|step| matches!(step, Step::Change(_)));
            let fewer = tables.into_iter().chain(after).cloned().collect();
            if self.try_steps(fewer)? {
                break;
            }
        }
        Ok(())
    }

    fn leave_out_steps(&mut self) -> Result<()> {
        let mut part = self.steps.len() / 2;
        while part > 0 {
            let mut first = 1;
            while first < self.steps.len() {
                let mut fewer = self.steps.clone();
                fewer.drain(first..(first + part).min(fewer.len()));
                if !self.try_steps(fewer)? {
                    first += part;
                }
            }
            part /= 2;
        }
        Ok(())
    }

    fn leave_out_services(&mut self) -> Result<()> {
        let tables = self.steps.iter().filter_map(|step| match step {
            Step::Change(tables) => Some(tables),
            Step::Packet(_) => None,
        });
        let ids: BTreeSet<u32> =
            tables.flat_map(|tables| tables.services.keys().copied()).collect();
        for id in ids {
            let mut fewer = self.steps.clone();
            fewer.iter_mut().for_each(|step| leave_out(step, id));
            self.try_steps(fewer)?;
        }
        Ok(())
    }

    /// Goes on with `fewer` steps if they differ as well, while there is time.
    fn try_steps(&mut self, fewer: Vec<Step>) -> Result<bool> {
        if Instant::now() > self.until {
            return Ok(false);
        }
        let Some(difference) = replay(&fewer)? else { return Ok(false) };
        (self.steps, self.difference) = (fewer, Some(difference));
        Ok(true)
    }
}

fn leave_out(step: &mut Step, service: u32) {
    let Step::Change(tables) = step else { return };
    tables.services.remove(&service);
    tables.frontends.retain(|_, frontend| frontend.service != service);
    tables.node_ports.retain(|_, frontend| frontend.service != service);
}
