//! The shortest script that still shows a difference, within reason.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{replay, script::Step};

/// How many scripts are tried.
const TRIES: u32 = 300;

/// A script that differs, and what differs at its last step.
struct Found {
    steps: Vec<Step>,
    difference: Option<String>,
    tries: u32,
}

/// Leaves out what is not needed: halves of the steps first, then smaller parts, then services. The
/// first step, the tables, stays. Returns the steps and what differs at the last one, if the script
/// still does.
pub(super) fn shrink(steps: Vec<Step>) -> Result<(Vec<Step>, Option<String>)> {
    let difference = replay(&steps)?;
    let mut found = Found { steps, difference, tries: 0 };
    if found.difference.is_some() {
        found.leave_out_steps()?;
        found.leave_out_services()?;
    }
    Ok((found.steps, found.difference))
}

impl Found {
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

    /// Goes on with `fewer` steps if they differ as well, while there are tries left.
    fn try_steps(&mut self, fewer: Vec<Step>) -> Result<bool> {
        if self.tries == TRIES {
            return Ok(false);
        }
        self.tries += 1;
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
