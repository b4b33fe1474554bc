//! Clients that are processes of a node: what a socket hook serves depends on the control group and
//! the namespace that a process is in, which a thread of the tests cannot change alone.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, bail};

use super::{netns::Netns, node::Node, process::binary};
use crate::traffic::peer::{How, Told};

impl Node {
    /// Runs lab-tool in this node's control group and in `netns`: its own, or a pod's. Its output.
    ///
    /// # Errors
    /// It fails; the message is its own.
    pub fn lab_tool(&self, netns: &Netns, arguments: &[&str]) -> Result<String> {
        let tool = binary("lab-tool", "SVCLB_LAB_TOOL", "svclb-tests")?;
        // The shell moves itself, so that the client is there before it has a socket.
        let mut command = Command::new("sh");
        command.args(["-c", "echo 0 > \"$0\" && exec \"$@\""]);
        command.arg(self.cgroup().join("cgroup.procs")).arg(tool).args(arguments);
        let output = netns.run(|| command.output().context("lab-tool: no start"))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("lab-tool: output is not UTF-8")
    }

    /// Asks each of `targets` from a process in this node's control group and in `netns`.
    ///
    /// # Errors
    /// An answer is missing or wrong; the message holds the kernel's error.
    pub fn ask_from(&self, netns: &Netns, how: How, targets: &[SocketAddr]) -> Result<Vec<Told>> {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let mut arguments = vec!["ask", how.name()];
        arguments.extend(targets.iter().map(String::as_str));
        let told = self.lab_tool(netns, &arguments)?;
        serde_json::from_str(&told).context("lab-tool: not its output")
    }

    /// Asks each of `targets` from a process in this node's own namespace.
    ///
    /// # Errors
    /// As [`Node::ask_from`].
    pub fn ask(&self, how: How, targets: &[SocketAddr]) -> Result<Vec<Told>> {
        self.ask_from(self.netns(), how, targets)
    }
}
