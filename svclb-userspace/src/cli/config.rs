//! `svclb config`: the agent's configuration.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use svclb::config::{Layer, Resolved};

use super::{Verdict, run::Settings};

#[derive(Subcommand, Debug)]
pub(super) enum Config {
    /// Print the configuration that `svclb run` would have with these flags, as a file.
    Print(Box<Settings>),
    /// Tell whether a file can be used.
    Check {
        /// A file of kind SvclbConfiguration.
        file: PathBuf,
    },
}

impl Config {
    pub(super) fn execute(self) -> Result<Verdict> {
        let text = match self {
            Self::Print(settings) => settings.resolve()?.to_yaml().context("print")?,
            Self::Check { file } => {
                Resolved::new(Some(&file), Layer::default())?.config.check()?;
                format!("{}: valid\n", file.display())
            }
        };
        std::io::stdout().write_all(text.as_bytes()).context("standard output")?;
        Ok(Verdict::Success)
    }
}
