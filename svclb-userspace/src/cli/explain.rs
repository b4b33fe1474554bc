//! `svclb explain`: who answers a client, and why.

mod facts;
mod tables;

use std::net::IpAddr;

use anyhow::{Context, Result};
use clap::Args;
use svclb::explain::{Question, Target, explain};

use super::{Usage, Verdict, output::Output, run::Settings};

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The client's address.
    client: IpAddr,
    /// What it asks: TCP unless another protocol is given.
    #[arg(value_name = "ADDRESS:PORT[/PROTOCOL]")]
    target: Target,
    /// The device of this node that the client's packets come from.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: Settings,
}

impl Explain {
    pub(super) fn execute(self) -> Result<Verdict> {
        let Target { address, protocol } = self.target;
        if self.client.is_ipv4() != address.is_ipv4() {
            return Err(Usage("client and address are of two families").into());
        }
        let config = self.settings.resolve()?.config;
        config.check()?;
        let question =
            Question { client: self.client, device: self.device, destination: address, protocol };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        let known = runtime.block_on(facts::read(config))?;
        self.output.print(&explain(&known.facts(), &question))?;
        Ok(Verdict::Success)
    }
}
