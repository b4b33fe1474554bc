//! Every option of the agent.

use std::path::PathBuf;

use ipnet::{Ipv4Net, Ipv6Net};
use svclb_common::{flow::Timeouts, layout::size};

use super::{
    section::section,
    values::{DetectLocal, Echo, Listen, PerService, PortRange, PowerOfTwo, Servers},
    whose::{Cidrs, InterfacePrefix, ServiceNames},
};
use crate::{
    attach::{Mechanism, SocketHooks},
    desired::NodePortAddresses,
    pins::DEFAULT_BPFFS,
    source::manifests::Ranges,
    telemetry::{KernelLog, LogFormat},
};

section! {
    /// The agent on its node.
    Agent, AgentLayer, "Agent" {
        /// Where bpffs is mounted.
        [value_name = "DIR"] bpffs: PathBuf = DEFAULT_BPFFS.into();
        /// Whose sockets are served as they connect: `host` (those in the node's own network
        /// namespace), `all` (those of pods, too), or `off`.
        [value_enum] socket_hooks: SocketHooks = SocketHooks::Host;
        /// Whose ping is answered: that to ClusterIPs (`cluster-ips`), to every address of a Service
        /// that is not this node's (`all`), or nobody's (`off`).
        [value_enum] echo: Echo = Echo::ClusterIps;
        unset:
        /// Name of this node in the cluster; its host name by default.
        [value_name = "NAME"] node_name: String;
        /// How to attach to devices; the best that the kernel has by default.
        [value_enum] attach: Mechanism;
        /// Control group (version 2) whose processes the socket hooks serve; all of the machine's by
        /// default.
        [value_name = "DIR"] cgroup: PathBuf;
        /// A file that exists while the agent is ready.
        [value_name = "FILE"] ready_file: PathBuf;
    }
}

section! {
    /// Where the cluster's objects come from.
    Source, SourceLayer, "Source" {
        unset:
        /// Folder of Kubernetes manifests to follow: Services, EndpointSlices, Pods, Nodes.
        [value_name = "DIR"] manifests: PathBuf;
        /// A kubeconfig of the cluster to follow. In a Pod, its ServiceAccount does without.
        [value_name = "FILE"] kubeconfig: PathBuf;
        /// The API servers, one asked after the other: `https://HOST:PORT`, several with commas.
        /// Not their Service's address, which needs this agent itself.
        [value_name = "URLS"] api_servers: Servers;
    }
}

section! {
    /// What Services of manifests get that come without.
    Allocation, AllocationLayer, "Services of manifests that come without" {
        /// ClusterIPs of IPv4.
        [value_name = "CIDR"]
        cluster_cidr_v4: Ipv4Net = Ranges::DEFAULT_IPV4;
        /// ClusterIPs of IPv6.
        [value_name = "CIDR"]
        cluster_cidr_v6: Ipv6Net = Ranges::DEFAULT_IPV6;
        /// NodePorts.
        [value_name = "FIRST-LAST"]
        node_ports: PortRange = PortRange(Ranges::DEFAULT_NODE_PORTS);
    }
}

section! {
    /// Whose addresses are whose.
    Traffic, TrafficLayer, "Traffic" {
        /// How clients inside the cluster are told from those outside: `cluster-cidr` (by
        /// --cluster-cidr), `node-cidr` (by the podCIDRs of this Node), `interface` (by
        /// --pod-interface-prefix), or `off`. Clients from outside are masqueraded towards a
        /// ClusterIP.
        [value_enum] detect_local: DetectLocal = DetectLocal::NodeCidr;
        /// Masquerade every client of a ClusterIP.
        [num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL"]
        masquerade_all: bool = false;
        /// At which addresses of this node NodePorts answer: `all` (but loopback), `localhost` (for
        /// the node's own processes), `primary` (the first of each family in the Node object),
        /// ranges; several with commas.
        [value_name = "LIST"]
        nodeport_addresses: NodePortAddresses = NodePortAddresses::default();
        unset:
        /// Ranges of the cluster's pods; several with commas.
        [value_name = "CIDRS"] cluster_cidr: Cidrs;
        /// How the names of devices for pods begin.
        [value_name = "PREFIX"] pod_interface_prefix: InterfacePrefix;
        /// Ranges that ClusterIPs are given out from, beside those of the cluster's ServiceCIDRs:
        /// for API servers that have none. Several with commas.
        [value_name = "CIDRS"] service_cidrs: Cidrs;
        /// Services whose ClusterIPs a process of the node answers by itself, as NodeLocal DNSCache
        /// does for kube-dns: `NAMESPACE/NAME`, several with commas.
        [value_name = "SERVICES"] leave_to_host: ServiceNames;
    }
}

section! {
    /// Flows: how long they live, and their ports.
    Flows, FlowsLayer, "Flows" {
        /// Ports that stand for clients' own when their packets are masqueraded.
        [value_name = "FIRST-LAST"] masquerade_ports: PortRange = PortRange(10_240..=29_999);
        /// Leave TCP in mid-stream that has no flow to the kernel, where the service proxy from which
        /// svclb takes over may have the connection, instead of resetting it.
        [num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL"]
        takeover: bool = false;
        /// Reset TCP connections whose endpoint has vanished from its Service's EndpointSlices, both
        /// ends at once; otherwise their clients wait for answers until they give up.
        [num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL"]
        reset_vanished: bool = true;
        /// Seconds of silence after which a TCP flow without an answer is forgotten.
        [value_name = "SECONDS"] tcp_opening_timeout: u32 = Timeouts::DEFAULT.tcp_opening;
        /// The same with an answer that the client has not acknowledged.
        [value_name = "SECONDS"] tcp_answered_timeout: u32 = Timeouts::DEFAULT.tcp_answered;
        /// The same once it has.
        [value_name = "SECONDS"] tcp_established_timeout: u32 = Timeouts::DEFAULT.tcp_established;
        /// The same with one side finished.
        [value_name = "SECONDS"] tcp_closing_timeout: u32 = Timeouts::DEFAULT.tcp_closing;
        /// The same with both sides finished, or reset.
        [value_name = "SECONDS"] tcp_closed_timeout: u32 = Timeouts::DEFAULT.tcp_closed;
        /// Seconds of silence after which a UDP flow is forgotten whose client has not gone on after
        /// an answer.
        [value_name = "SECONDS"] udp_opening_timeout: u32 = Timeouts::DEFAULT.udp_opening;
        /// The same once it has: a stream.
        [value_name = "SECONDS"] udp_established_timeout: u32 = Timeouts::DEFAULT.udp_established;
        /// Seconds of silence after which an SCTP flow is forgotten whose client has not
        /// confirmed the answer with its cookie.
        [value_name = "SECONDS"] sctp_opening_timeout: u32 = Timeouts::DEFAULT.sctp_opening;
        /// The same once it has; heartbeats count.
        [value_name = "SECONDS"] sctp_established_timeout: u32 = Timeouts::DEFAULT.sctp_established;
        /// The same with one side shutting down.
        [value_name = "SECONDS"] sctp_closing_timeout: u32 = Timeouts::DEFAULT.sctp_closing;
        /// The same with both sides shut down, or aborted.
        [value_name = "SECONDS"] sctp_closed_timeout: u32 = Timeouts::DEFAULT.sctp_closed;
    }
}

section! {
    /// Sizes of maps that are not pinned yet.
    Maps, MapsLayer, "Sizes of maps that are not pinned yet" {
        /// Flows of each family; a power of two.
        [value_name = "N"] max_flows: PowerOfTwo = PowerOfTwo::FLOWS;
        /// Service ports, each counted once for each family.
        [value_name = "N"] max_services: u32 = size::SERVICES;
        /// Frontends of each family.
        [value_name = "N"] max_frontends: u32 = size::FRONTENDS;
        /// Endpoints of all service ports.
        [value_name = "N"] max_backends: u32 = size::BACKENDS;
        /// Slots of all service ports: twice the endpoints and more.
        [value_name = "N"] max_slots: u32 = size::SLOTS;
    }
}

section! {
    /// What is logged, and how.
    Logs, LogsLayer, "Logs" {
        /// Form of the log.
        [value_enum] log_format: LogFormat = LogFormat::Text;
        /// What is logged, in the syntax of RUST_LOG: `info`, `warn,svclb=debug`.
        [value_name = "FILTER", env = "RUST_LOG"] log_level: String = "info".to_owned();
        /// The kernel programs' own log; every packet costs more while it is on.
        [value_enum] bpf_log: KernelLog = KernelLog::Off;
    }
}

section! {
    /// What the agent tells about itself over HTTP.
    Observability, ObservabilityLayer, "Metrics and health" {
        /// Where `/metrics` and `/proxyMode` are served: `IP:PORT`, several with commas, or `off`.
        [value_name = "ADDRESSES"]
        metrics_bind_address: Listen = Listen::loopback(10_249);
        /// How finely traffic is broken down in the metrics.
        [value_enum] metrics_per_service: PerService = PerService::Off;
        /// Where `/healthz`, `/livez` and `/readyz` are served: `IP:PORT`, several with commas, or
        /// `off`.
        [value_name = "ADDRESSES"]
        healthz_bind_address: Listen = Listen::everywhere(10_256);
        /// Seconds that a change may wait to be written before `/healthz` fails.
        [value_name = "SECONDS"] health_timeout: u32 = 60;
    }
}
