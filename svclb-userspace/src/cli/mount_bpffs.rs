//! `svclb mount-bpffs`: a bpffs where there is none, before the agent starts.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use nix::mount::{MsFlags, mount};

use super::{Bpffs, Verdict};

#[derive(Args, Debug)]
pub(super) struct MountBpffs {
    #[command(flatten)]
    at: Bpffs,
}

impl MountBpffs {
    pub(super) fn execute(self) -> Result<Verdict> {
        let folder = self.at.bpffs.display();
        fs::create_dir_all(&self.at.bpffs).with_context(|| format!("create {folder}"))?;
        if self.at.pins().is_ok() {
            println!("{folder} is a bpffs already");
            return Ok(Verdict::Success);
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        // Maps are root's business.
        mount(Some("bpf"), &self.at.bpffs, Some("bpf"), flags, Some("mode=0700"))
            .with_context(|| format!("mount a bpffs at {folder}"))?;
        println!("mounted a bpffs at {folder}");
        Ok(Verdict::Success)
    }
}
