//! The shortest script that still shows a difference, within reason.

use anyhow::Result;

use super::{replay, script::Step};

/// How many scripts are tried.
const TRIES: u32 = 400;

/// Leaves out what is not needed: halves first, then smaller parts. The first step, the tables,
/// stays. Returns the steps and what differs at the last one, if the script still does.
pub(super) fn shrink(mut steps: Vec<Step>) -> Result<(Vec<Step>, Option<String>)> {
    let mut shortest = replay(&steps)?;
    let mut part = steps.len() / 2;
    let mut tries = 0;
    while shortest.is_some() && part > 0 {
        let mut first = 1;
        while first < steps.len() && tries < TRIES {
            tries += 1;
            let mut fewer = steps.clone();
            fewer.drain(first..(first + part).min(steps.len()));
            match replay(&fewer)? {
                Some(difference) => (steps, shortest) = (fewer, Some(difference)),
                None => first += part,
            }
        }
        part /= 2;
    }
    Ok((steps, shortest))
}
