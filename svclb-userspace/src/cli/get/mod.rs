//! `svclb get`: what the kernel holds, read from the pinned maps. Works without the agent.

mod backends;
mod flows;
mod services;
mod stats;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use svclb::{
    pins::Pins,
    plan::{
        kernel::KernelState,
        operation::{Family, FrontendAddress, Protocol, ServicePort},
    },
    writer::{MapReader, maps::KernelMaps},
};
use svclb_common::counters::Traffic;

use super::{Bpffs, Verdict, output::Output};

#[derive(Args, Debug)]
pub(super) struct Get {
    /// What to show.
    kind: Kind,
    /// Only the Service of this name.
    name: Option<String>,
    /// Only this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    bpffs: Bpffs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Service ports, their frontends and traffic.
    #[value(alias = "service", alias = "svc")]
    Services,
    /// Endpoints, and each one's share of its service's flows.
    #[value(alias = "backend")]
    Backends,
    /// Connections.
    #[value(alias = "flow")]
    Flows,
    /// What became of packets, and how full the maps are.
    Stats,
}

impl Get {
    pub(super) fn execute(self) -> Result<Verdict> {
        let pins = self.bpffs.loaded()?;
        match self.kind {
            Kind::Services => self.output.print(&services::list(&pins, &self)?)?,
            Kind::Backends => self.output.print(&backends::list(&pins, &self)?)?,
            Kind::Flows => self.output.print(&flows::list(&pins, &self)?)?,
            Kind::Stats => self.output.print(&stats::read(&pins)?)?,
        }
        Ok(Verdict::Success)
    }

    /// Whether a service port is asked for.
    fn wants(&self, owner: &ServicePort) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
        fits(&self.namespace, &owner.namespace) && fits(&self.name, &owner.name)
    }

    /// Whether everything is asked for.
    fn wants_all(&self) -> bool {
        self.namespace.is_none() && self.name.is_none()
    }
}

/// What the agent has written.
fn state(pins: &Pins) -> Result<KernelState> {
    KernelMaps::open(pins)?.read().context("read the pinned maps")
}

/// A service port as rows show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Owner {
    namespace: String,
    service: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    port_name: String,
    port: u16,
    protocol: Protocol,
    family: Family,
}

impl Owner {
    fn new(owner: &ServicePort, port: u16) -> Self {
        Self {
            namespace: owner.namespace.clone(),
            service: owner.name.clone(),
            port_name: owner.port_name.clone(),
            port,
            protocol: owner.protocol,
            family: owner.family,
        }
    }

    /// `namespace/name:port`, the port by its name if it has one.
    fn label(&self) -> String {
        let Self { namespace, service, port_name, port, .. } = self;
        if port_name.is_empty() {
            return format!("{namespace}/{service}:{port}");
        }
        format!("{namespace}/{service}:{port_name}")
    }
}

/// Traffic as rows show it.
#[derive(Clone, Copy, Serialize)]
struct Counts {
    flows: u64,
    packets: u64,
    bytes: u64,
    reply_packets: u64,
    reply_bytes: u64,
}

impl From<Traffic> for Counts {
    fn from(traffic: Traffic) -> Self {
        let Traffic { flows, packets, bytes, reply_packets, reply_bytes } = traffic;
        Self { flows, packets, bytes, reply_packets, reply_bytes }
    }
}

impl Counts {
    fn cells(&self) -> [String; 4] {
        [self.packets, self.reply_packets, self.bytes, self.reply_bytes].map(|n| n.to_string())
    }
}

/// A frontend as rows show it.
fn frontend_label(address: &FrontendAddress) -> String {
    match address {
        FrontendAddress::Address(address, _) => address.to_string(),
        FrontendAddress::NodePort(_, port, _) => format!("node:{port}"),
        FrontendAddress::Vip(ip) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_labelled_by_its_name_if_it_has_one() {
        let mut owner = Owner {
            namespace: "default".into(),
            service: "web".into(),
            port_name: String::new(),
            port: 80,
            protocol: Protocol::Tcp,
            family: Family::V4,
        };
        assert_eq!(owner.label(), "default/web:80");
        owner.port_name = "http".into();
        assert_eq!(owner.label(), "default/web:http");
    }
}
