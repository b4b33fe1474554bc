//! Readiness: every device is attached to, and the first list of Services is in the kernel.

use std::{fs, io, path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use tracing::info;

use crate::health::Health;

/// Tells once when the agent is ready. The file goes when this is dropped.
pub(super) struct Ready {
    file: Option<PathBuf>,
    health: Arc<Health>,
    started: Instant,
    attached: bool,
    programmed: bool,
    told: bool,
}

impl Ready {
    /// Removes what a crashed agent has left.
    pub(super) fn new(file: Option<PathBuf>, health: Arc<Health>) -> Result<Self> {
        let started = Instant::now();
        let ready = Self { file, health, started, attached: false, programmed: false, told: false };
        ready.remove()?;
        Ok(ready)
    }

    /// Every device that was there at start has been attended to.
    pub(super) fn attached(&mut self) -> Result<()> {
        self.attached = true;
        self.tell()
    }

    /// The first list of Services has been written.
    pub(super) fn programmed(&mut self) -> Result<()> {
        self.programmed = true;
        self.tell()
    }

    fn tell(&mut self) -> Result<()> {
        if self.told || !(self.attached && self.programmed) {
            return Ok(());
        }
        self.told = true;
        self.health.set_ready();
        if let Some(file) = &self.file {
            let pid = format!("{}\n", std::process::id());
            fs::write(file, pid).with_context(|| format!("ready file {}", file.display()))?;
        }
        info!(after_ms = self.started.elapsed().as_millis(), "ready");
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("ready file {}", file.display()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // What is left is removed at the next start.
        let _ = self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_there_while_both_halves_are_ready() {
        let name = format!("svclb-ready-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, "of a crashed agent").expect("write");
        let health = Arc::new(Health::new(std::time::Duration::MAX));
        let mut ready = Ready::new(Some(file.clone()), health).expect("start");
        assert!(!file.exists());
        ready.programmed().expect("programmed");
        assert!(!file.exists());
        ready.attached().expect("attached");
        assert!(file.exists());
        drop(ready);
        assert!(!file.exists());
    }
}
