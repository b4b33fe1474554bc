//! What the agent takes of the machine.

use std::{
    fs,
    ops::Sub,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use svclb_tests::memory::field;

/// Processor time of a node's processes, which are the agent's threads alone.
#[derive(Clone, Copy, Debug)]
struct Used {
    user: Duration,
    system: Duration,
}

impl Used {
    /// Since the cgroup was made.
    fn of(cgroup: &Path) -> Result<Self> {
        let path = cgroup.join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let micros = |name| {
            let value = field(&text, name).with_context(|| format!("no {name}: {text}"))?;
            anyhow::Ok(Duration::from_micros(value))
        };
        Ok(Self { user: micros("user_usec")?, system: micros("system_usec")? })
    }
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        let (user, system) = (self.user - earlier.user, self.system - earlier.system);
        Self { user, system }
    }
}

/// A clock of time and processor time.
pub(super) struct Meter {
    cgroup: PathBuf,
    began: Instant,
    used: Used,
}

/// Processor time in percent of one processor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Share {
    /// In user space.
    pub(super) user: f64,
    /// In the kernel.
    pub(super) system: f64,
}

impl Share {
    fn of(used: Used, time: Duration) -> Self {
        let percent = |part: Duration| 100.0 * part.as_secs_f64() / time.as_secs_f64();
        Self { user: percent(used.user), system: percent(used.system) }
    }

    /// All of it.
    pub(super) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Meter {
    /// Begins now.
    ///
    /// # Errors
    /// The cgroup does not tell.
    pub(super) fn start(cgroup: &Path) -> Result<Self> {
        Ok(Self { cgroup: cgroup.to_owned(), began: Instant::now(), used: Used::of(cgroup)? })
    }

    /// The share of a processor until now, and the time.
    ///
    /// # Errors
    /// The cgroup does not tell.
    pub(super) fn stop(self) -> Result<(Share, Duration)> {
        let (used, time) = (Used::of(&self.cgroup)? - self.used, self.began.elapsed());
        Ok((Share::of(used, time), time))
    }

    /// The share of a processor during a time in which the bench does nothing.
    ///
    /// # Errors
    /// The cgroup does not tell.
    pub(super) fn during(cgroup: &Path, time: Duration) -> Result<(Share, Duration)> {
        let meter = Self::start(cgroup)?;
        thread::sleep(time);
        meter.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_one_processor() {
        let used = Used { user: Duration::from_secs(3), system: Duration::from_millis(500) };
        let share = Share::of(used, Duration::from_secs(10));
        assert!((share.user - 30.0).abs() < 1e-9 && (share.total() - 35.0).abs() < 1e-9);
    }
}
