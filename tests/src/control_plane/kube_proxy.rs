//! The real kube-proxy on a node of the lab, in its nftables mode.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Programs, READY_WITHIN, program};
use crate::lab::{HEALTH, Node, Process, address, wait_for};

/// A running kube-proxy. Its rules stay in the node's namespace when it ends.
#[derive(Debug)]
pub struct KubeProxy {
    process: Process,
}

impl KubeProxy {
    /// Starts it on `node`, following the cluster that `kubeconfig` leads to, and waits until it
    /// says that it has programmed the rules once.
    ///
    /// # Errors
    /// The program is missing, ends or does not become well; the message holds its last lines.
    pub fn start(node: &Node, programs: &Programs, kubeconfig: &Path) -> Result<Self> {
        let log = node.folder().join("kube-proxy.log");
        let command = program(&programs.kube_proxy()?, &arguments(node, kubeconfig));
        let mut process = Process::start(command, node.netns(), node.cgroup(), &log)?;
        let became = wait_for("kube-proxy to be well", READY_WITHIN, || match process.must_run() {
            Err(ended) => Some(Err(ended)),
            Ok(()) => is_well(node).then_some(Ok(())),
        });
        became.flatten().with_context(|| {
            format!("kube-proxy of {}, its last lines:\n{}", node.name, process.log_tail(20))
        })?;
        Ok(Self { process })
    }

    /// Fails if it has ended, with the last lines of its log.
    ///
    /// # Errors
    /// It has.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }
}

fn is_well(node: &Node) -> bool {
    node.get(HEALTH, "/healthz").is_ok_and(|(status, _)| status == 200)
}

fn arguments(node: &Node, kubeconfig: &Path) -> Vec<String> {
    let (pods4, pods6) = address::POD_CIDR;
    vec![
        "--proxy-mode=nftables".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--hostname-override={}", node.name),
        "--detect-local-mode=ClusterCIDR".to_owned(),
        format!("--cluster-cidr={pods4},{pods6}"),
        // Sizes and time-outs of connection tracking are not a namespace's to set.
        "--conntrack-max-per-core=0".to_owned(),
        "--conntrack-tcp-timeout-established=0".to_owned(),
        "--conntrack-tcp-timeout-close-wait=0".to_owned(),
    ]
}
