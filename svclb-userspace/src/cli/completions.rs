//! `svclb completions`: completion scripts for shells.

use std::io::{self, Write};

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Verdict};

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell to complete in.
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Result<Verdict> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "svclb", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Verdict::Success)
    }
}
