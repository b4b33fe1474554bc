//! `svclb run`: the agent.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args;
use svclb::{
    agent::{self, From},
    attach::{SocketHooks, SocketOptions},
    config::{
        self, Allocation, Cidrs, Config, DetectLocal, Flows, HostPorts, Layer, Maps, Resolved,
    },
    desired::Detection,
    loader::{self, Sizes},
    netns,
    pins::Pins,
    source::{kubernetes::Connection, manifests::Ranges},
    state::Traffic,
    telemetry,
};
use svclb_common::flow::Timeouts;

use super::{Usage, Verdict};

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    settings: Settings,
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// A file of kind SvclbConfiguration; flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Layer,
}

impl Settings {
    /// The configuration that they add up to.
    pub(super) fn resolve(self) -> Result<Resolved, config::FileError> {
        Resolved::new(self.config.as_deref(), self.flags)
    }
}

impl Run {
    pub(super) fn execute(self) -> Result<Verdict> {
        let config = self.settings.resolve()?.config;
        config.check()?;
        config.check_host(&HostPorts::read().context("the kernel's range of local ports")?)?;
        let Config { agent, source, allocation, traffic, flows, maps, logs, observability } =
            config;
        let source = source_of(source, allocation)?;
        telemetry::init(logs.log_format, &logs.log_level)?;
        let options = agent::Options {
            node_name: agent.node_name.map_or_else(host_name, Ok)?,
            source,
            load: loader::Options {
                sizes: sizes(&maps),
                timeouts: timeouts(&flows),
                masquerade_ports: flows.masquerade_ports.0,
                hash_seed: random(),
                node_netns: netns::cookie()?,
                masquerade_all: traffic.masquerade_all,
                takeover: flows.takeover,
                reset_vanished: flows.reset_vanished,
                all_sockets: agent.socket_hooks == SocketHooks::All,
                echo: agent.echo.number(),
                log_level: logs.bpf_log.number(),
            },
            node_ports: traffic.nodeport_addresses.clone(),
            pod_interfaces: traffic.pod_interface_prefix.clone().map(|prefix| prefix.0),
            traffic: told_apart(traffic),
            mechanism: agent.attach,
            sockets: SocketOptions { hooks: agent.socket_hooks, cgroup: agent.cgroup },
            kernel_log: logs.bpf_log,
            ready_file: agent.ready_file,
            observability,
        };
        let pins = Pins::on(&agent.bpffs)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("start the runtime")?;
        runtime.block_on(agent::run(pins, options))?;
        Ok(Verdict::Success)
    }
}

/// What the engine is to know of the section.
pub(super) fn told_apart(traffic: config::Traffic) -> Traffic {
    let ranges = |cidrs: Option<Cidrs>| cidrs.map(|cidrs| cidrs.0).unwrap_or_default();
    let detection = match traffic.detect_local {
        DetectLocal::ClusterCidr => Detection::Cluster(ranges(traffic.cluster_cidr)),
        DetectLocal::NodeCidr => Detection::Node,
        DetectLocal::Interface => Detection::Interface,
        DetectLocal::Off => Detection::Off,
    };
    Traffic {
        detection,
        service_cidrs: ranges(traffic.service_cidrs),
        left_to_host: traffic.leave_to_host.map(|names| names.0).unwrap_or_default(),
    }
}

/// What to follow.
pub(super) fn source_of(source: config::Source, allocation: Allocation) -> Result<From, Usage> {
    let ranges = Ranges {
        ipv4: Some(allocation.cluster_cidr_v4),
        ipv6: Some(allocation.cluster_cidr_v6),
        node_ports: allocation.node_ports.0,
    };
    follow(source, ranges, env::var_os("KUBERNETES_SERVICE_HOST").is_some())
}

/// What to follow; a Pod follows its own cluster unless it is told otherwise.
fn follow(source: config::Source, ranges: Ranges, in_pod: bool) -> Result<From, Usage> {
    let config::Source { manifests, kubeconfig, api_servers } = source;
    let servers = api_servers.map(|servers| servers.0);
    let is_cluster = kubeconfig.is_some() || servers.is_some();
    match manifests {
        Some(_) if is_cluster => {
            Err(Usage("two sources: --manifests goes with neither --kubeconfig nor --api-servers"))
        }
        Some(folder) => Ok(From::Manifests { folder, ranges }),
        None if is_cluster || in_pod => {
            let servers = servers.unwrap_or_default();
            Ok(From::Kubernetes(Connection { kubeconfig, servers }))
        }
        None => Err(Usage(
            "no source: give --manifests or --kubeconfig, or run in a Pod of the cluster",
        )),
    }
}

fn sizes(maps: &Maps) -> Sizes {
    Sizes {
        frontends: maps.max_frontends,
        services: maps.max_services,
        slots: maps.max_slots,
        backends: maps.max_backends,
        flows: maps.max_flows.into(),
    }
}

fn timeouts(flows: &Flows) -> Timeouts {
    Timeouts {
        tcp_opening: flows.tcp_opening_timeout,
        tcp_answered: flows.tcp_answered_timeout,
        tcp_established: flows.tcp_established_timeout,
        tcp_closing: flows.tcp_closing_timeout,
        tcp_closed: flows.tcp_closed_timeout,
        udp_opening: flows.udp_opening_timeout,
        udp_established: flows.udp_established_timeout,
        sctp_opening: flows.sctp_opening_timeout,
        sctp_established: flows.sctp_established_timeout,
        sctp_closing: flows.sctp_closing_timeout,
        sctp_closed: flows.sctp_closed_timeout,
    }
}

pub(super) fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("host name")?;
    name.into_string().ok().context("host name is not UTF-8")
}

/// A number that nobody can guess: the standard library seeds its maps from the system.
fn random() -> u32 {
    RandomState::new().hash_one(()) as u32
}
