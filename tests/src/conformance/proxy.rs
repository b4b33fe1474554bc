//! The proxies, on a node.

use anyhow::Result;

use crate::{
    control_plane::{ControlPlane, KubeProxy},
    lab::{Agent, Node},
};

/// A service proxy to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proxy {
    /// This project's.
    Svclb,
    /// Kubernetes' own, in its nftables mode.
    KubeProxy,
}

/// A proxy that runs on a node.
pub(super) enum Running {
    Svclb(Agent),
    KubeProxy(KubeProxy),
}

impl Proxy {
    /// Starts it on a node, and waits until it says that it is ready.
    pub(super) fn start(self, node: &Node, cluster: &ControlPlane) -> Result<Running> {
        let kubeconfig = cluster.kubeconfig();
        match self {
            Self::Svclb => {
                Agent::follow_cluster(node, kubeconfig, &["--echo", "all"]).map(Running::Svclb)
            }
            Self::KubeProxy => {
                KubeProxy::start(node, cluster.programs(), kubeconfig).map(Running::KubeProxy)
            }
        }
    }
}

impl Running {
    /// Ends it. svclb is taken out of the kernel, too; kube-proxy's rules are left.
    pub(super) fn stop(self, node: &Node) -> Result<()> {
        match self {
            Self::Svclb(agent) => {
                agent.terminate()?;
                node.svclb(&["unload"]).map(drop)
            }
            Self::KubeProxy(mut proxy) => proxy.must_run(),
        }
    }
}
