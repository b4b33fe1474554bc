//! Clients that are processes of a node: what a socket hook serves depends on the control group and
//! the namespace that a process is in, which a thread of the tests cannot change alone.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, bail};

use super::{netns::Netns, node::Node, process::binary};
use crate::traffic::peer::{How, Told};

impl Node {
    /// Asks each of `targets` from a process in this node's control group and in `netns`: its own,
    /// or a pod's.
    ///
    /// # Errors
    /// An answer is missing or wrong; the message holds the kernel's error.
    pub fn ask_from(&self, netns: &Netns, how: How, targets: &[SocketAddr]) -> Result<Vec<Told>> {
        let tool = binary("lab-tool", "SVCLB_LAB_TOOL", "svclb-tests")?;
        // The shell moves itself, so that the client is there before it has a socket.
        let mut command = Command::new("sh");
        command.args(["-c", "echo 0 > \"$0\" && exec \"$@\""]);
        command.arg(self.cgroup().join("cgroup.procs")).arg(tool).args(["ask", how.name()]);
        command.args(targets.iter().map(ToString::to_string));
        let output = netns.run(|| command.output().context("lab-tool: no start"))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("lab-tool: not its output")
    }

    /// Asks each of `targets` from a process in this node's own namespace.
    ///
    /// # Errors
    /// As [`Node::ask_from`].
    pub fn ask(&self, how: How, targets: &[SocketAddr]) -> Result<Vec<Told>> {
        self.ask_from(self.netns(), how, targets)
    }
}
