//! `svclb run`: the agent.

use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context, Result};
use clap::Args;
use ipnet::{Ipv4Net, Ipv6Net};
use svclb::{
    agent,
    attach::Mechanism,
    loader::{self, Sizes},
    source::manifests::Ranges,
    telemetry::{self, KernelLog, LogFormat},
};
use svclb_common::flow::Timeouts;

use super::{Bpffs, Verdict};

#[derive(Args, Debug)]
pub(super) struct Run {
    /// Folder of Kubernetes manifests to follow: Services, EndpointSlices, Pods, Nodes.
    #[arg(long, value_name = "DIR")]
    manifests: PathBuf,
    /// Name of this node in the cluster; its host name by default.
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    #[command(flatten)]
    bpffs: Bpffs,
    /// How to attach to devices; the best that the kernel has by default.
    #[arg(long, value_enum)]
    attach: Option<Mechanism>,
    /// A file that exists while the agent is ready.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    flows: Flows,
    #[command(flatten)]
    sizes: MapSizes,
    #[command(flatten)]
    logs: Logs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Services of manifests that come without")]
struct Cluster {
    /// ClusterIPs of IPv4.
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16")]
    cluster_cidr_v4: Ipv4Net,
    /// ClusterIPs of IPv6.
    #[arg(long, value_name = "CIDR", default_value = "fd00:10:96::/112")]
    cluster_cidr_v6: Ipv6Net,
    /// NodePorts.
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767")]
    node_ports: Ports,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Flows")]
struct Flows {
    /// Ports that stand for clients' own when their packets are masqueraded.
    #[arg(long, value_name = "FIRST-LAST", default_value = "10240-29999")]
    masquerade_ports: Ports,
    /// Seconds of silence after which a TCP flow without a reply is forgotten.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.tcp_opening)]
    tcp_opening_timeout: u32,
    /// The same with packets in both directions.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.tcp_established)]
    tcp_established_timeout: u32,
    /// The same with one side finished.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.tcp_closing)]
    tcp_closing_timeout: u32,
    /// The same with both sides finished, or reset.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.tcp_closed)]
    tcp_closed_timeout: u32,
    /// Seconds of silence after which a UDP flow without a reply is forgotten.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.udp_opening)]
    udp_opening_timeout: u32,
    /// The same with replies.
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::DEFAULT.udp_established)]
    udp_established_timeout: u32,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Sizes of maps that are not pinned yet")]
struct MapSizes {
    /// Flows of each family; a power of two.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().flows, value_parser = power_of_two)]
    max_flows: u32,
    /// Service ports, each counted once for each family.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().services)]
    max_services: u32,
    /// Frontends of each family.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().frontends)]
    max_frontends: u32,
    /// Endpoints of all service ports.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().backends)]
    max_backends: u32,
    /// Slots of all service ports: twice the endpoints and more.
    #[arg(long, value_name = "N", default_value_t = Sizes::default().slots)]
    max_slots: u32,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Logs")]
struct Logs {
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged, in the syntax of RUST_LOG: `info`, `warn,svclb=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_level: String,
    /// The kernel programs' own log; every packet costs more while it is on.
    #[arg(long, value_enum, default_value = "off")]
    bpf_log: KernelLog,
}

impl Run {
    pub(super) fn execute(self) -> Result<Verdict> {
        telemetry::init(self.logs.log_format, &self.logs.log_level)?;
        let pins = self.bpffs.pins()?;
        let options = self.options()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("start the runtime")?;
        runtime.block_on(agent::run(pins, options))?;
        Ok(Verdict::Success)
    }

    fn options(self) -> Result<agent::Options> {
        Ok(agent::Options {
            node_name: self.node_name.map_or_else(host_name, Ok)?,
            manifests: self.manifests,
            ranges: Ranges {
                ipv4: Some(self.cluster.cluster_cidr_v4),
                ipv6: Some(self.cluster.cluster_cidr_v6),
                node_ports: self.cluster.node_ports.0,
            },
            load: loader::Options {
                sizes: self.sizes.into(),
                timeouts: (&self.flows).into(),
                masquerade_ports: self.flows.masquerade_ports.0,
                hash_seed: random(),
                log_level: self.logs.bpf_log.number(),
            },
            mechanism: self.attach,
            kernel_log: self.logs.bpf_log,
            ready_file: self.ready_file,
        })
    }
}

impl From<MapSizes> for Sizes {
    fn from(sizes: MapSizes) -> Self {
        Self {
            frontends: sizes.max_frontends,
            services: sizes.max_services,
            slots: sizes.max_slots,
            backends: sizes.max_backends,
            flows: sizes.max_flows,
        }
    }
}

impl From<&Flows> for Timeouts {
    fn from(flows: &Flows) -> Self {
        Self {
            tcp_opening: flows.tcp_opening_timeout,
            tcp_established: flows.tcp_established_timeout,
            tcp_closing: flows.tcp_closing_timeout,
            tcp_closed: flows.tcp_closed_timeout,
            udp_opening: flows.udp_opening_timeout,
            udp_established: flows.udp_established_timeout,
        }
    }
}

/// `FIRST-LAST`, both included.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ports(RangeInclusive<u16>);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("`{text}` is no port number")),
        };
        let (first, last) = text.split_once('-').ok_or("not of the form FIRST-LAST")?;
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!("{first} is greater than {last}"));
        }
        Ok(Self(first..=last))
    }
}

fn power_of_two(text: &str) -> Result<u32, String> {
    let number: u32 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if number.is_power_of_two() { Ok(number) } else { Err("not a power of two".to_owned()) }
}

fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("host name")?;
    name.into_string().ok().context("host name is not UTF-8")
}

/// A number that nobody can guess: the standard library seeds its maps from the system.
fn random() -> u32 {
    RandomState::new().hash_one(()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_are_checked() {
        assert_eq!("10240-29999".parse(), Ok(Ports(10_240..=29_999)));
        for wrong in ["", "80", "0-9", "9-8", "1-65536", "a-b"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn flow_tables_are_powers_of_two() {
        assert_eq!(power_of_two("1024"), Ok(1024));
        assert!(power_of_two("1000").is_err() && power_of_two("0").is_err());
    }
}
