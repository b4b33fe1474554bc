//! `svclb unload`: takes svclb out of the kernel.

use anyhow::{Result, bail};
use clap::Args;
use svclb::attach;

use super::{Bpffs, Verdict};

#[derive(Args, Debug)]
pub(super) struct Unload {
    #[command(flatten)]
    bpffs: Bpffs,
    /// Unload even while an agent runs; it will fail.
    #[arg(long)]
    force: bool,
}

impl Unload {
    pub(super) fn execute(self) -> Result<Verdict> {
        let pins = self.bpffs.pins()?;
        let lock = pins.lock()?;
        if lock.is_none() && !self.force {
            bail!("an agent is using {}; stop it first, or use --force", pins.root().display());
        }
        attach::detach_all()?;
        let removed = pins.remove()?;
        println!("removed {removed} pins from {}", pins.root().display());
        Ok(Verdict::Success)
    }
}
