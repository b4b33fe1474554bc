//! What the agent takes of the machine.

use std::{
    fs,
    ops::Sub,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

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

/// Resident memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    /// All of it now.
    pub(super) all: u64,
    /// What is its own: neither its program nor a library.
    pub(super) own: u64,
    /// All of it, at most.
    pub(super) most: u64,
}

impl Resident {
    /// Of a running process.
    ///
    /// # Errors
    /// It does not run.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let bytes = |name| match field(&text, name) {
            Some(kibibytes) => Ok(kibibytes << 10),
            None => bail!("{path}: no {name}"),
        };
        Ok(Self { all: bytes("VmRSS:")?, own: bytes("RssAnon:")?, most: bytes("VmHWM:")? })
    }
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find_map(|mut words| (words.next() == Some(name)).then_some(words))?;
    line.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(field("usage_usec 30\nuser_usec 10\n", "user_usec"), Some(10));
        assert_eq!(field("VmHWM:\t  12 kB\nVmRSS:\t  7 kB\n", "VmRSS:"), Some(7));
        assert_eq!(field("VmRSS:\t  7 kB\n", "VmSwap:"), None);
    }

    #[test]
    fn own_memory_is_known() {
        let Resident { all, own, most } = Resident::of(std::process::id()).unwrap();
        assert!(1 << 16 < own && own < all && all <= most);
    }

    #[test]
    fn a_share_is_of_one_processor() {
        let used = Used { user: Duration::from_secs(3), system: Duration::from_millis(500) };
        let share = Share::of(used, Duration::from_secs(10));
        assert!((share.user - 30.0).abs() < 1e-9 && (share.total() - 35.0).abs() < 1e-9);
    }
}
