//! A cluster's network on one machine, out of network namespaces.
//!
//! ```text
//!   client1 (external) --- ext0 [ router ] lan0 --- lan1 (a client on the LAN)
//!                                            |----- node1 --- pods
//!                                            '----- node2 --- pods
//! ```
//!
//! A [`Lab`] is built from a [`Preset`]: how pods are joined (routed veths or a bridge), how nodes
//! reach each other's pods (routes or a vxlan), plain or hostile nodes. Everything has both
//! families; [`address`] is the plan of addresses. Pods are real processes (`lab-tool serve`) that
//! answer HTTP and UDP with their names. Each node has a folder, a bpffs mount and a cgroup of its
//! own, and its own agent.
//!
//! ```no_run
//! use svclb_tests::lab::{Lab, Preset};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut lab = Lab::new(&Preset::ROUTED)?; // or Lab::named("demo", ...): svclb-demo-node1 ...
//! lab.node_mut(1).add_pod("web-1", &[8080])?;
//! lab.node_mut(2).add_pod("web-2", &[8080])?;
//! let answer = lab.external().netns().run(|| {
//!     Ok(std::net::TcpStream::connect((lab.node(1).ip.v4, 30_080))?)
//! });
//! # drop(answer);
//! lab.keep(); // or drop(lab): processes, namespaces, mounts and cgroups go
//! # Ok(())
//! # }
//! ```
//!
//! [`Netns::run`] runs a closure inside a namespace: the sockets it opens and the processes it
//! starts belong there. From a shell, `ip netns exec svclb-demo-node1 ...` enters a kept lab, or
//! `nsenter --net=/run/netns/svclb-demo-node1 ...`, which leaves the file systems as they are.
//!
//! A lab needs root, `ip`, `bridge` and `nft`, and for pods the binary `lab-tool` of this crate.

pub mod address;
mod agent;
mod client;
pub mod command;
mod foreign;
mod hostile;
mod mangle;
pub mod manifests;
mod narrow;
mod netns;
mod network;
mod node;
mod observed;
pub(crate) mod place;
mod pod;
mod pod_link;
mod preset;
mod process;
mod station;
mod tool;
mod topology;
mod tunnel;
mod vxlan;
mod wait;
mod wire;

pub use address::{Dual, Family};
pub use agent::{Agent, logged};
pub use client::{Client, Location};
pub use foreign::Foreign;
pub use mangle::{Damage, Mangler};
pub use manifests::Manifests;
pub use narrow::{NARROW, Narrow};
pub use netns::{Netns, NftTable};
pub use network::has_bridge_netfilter;
pub use node::Node;
pub use observed::{HEALTH, METRICS, Reply};
pub use pod::{DEFAULT_PORTS, Pod};
pub use preset::{Hostile, PodLink, Preset, Transport};
pub use process::{Process, binary};
pub use station::Station;
pub use topology::{Lab, must_be_root};
pub use tunnel::Tunnel;
pub use wait::{SOON, wait_for};
pub use wire::Wire;
