//! The real agent on a node.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    node::Node,
    process::{Process, binary},
    wait::wait_for,
};

/// How long the agent may take to be ready; it loads the programs, and the machine may be busy.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
}

impl Agent {
    /// Starts `svclb run` on `node`, following `manifests`, with `extra` arguments, and waits until
    /// it says that it is ready.
    ///
    /// # Errors
    /// The binary is missing, the agent ends or does not become ready; the message holds its log.
    pub fn start(node: &Node, manifests: &Path, extra: &[&str]) -> Result<Self> {
        Self::launch(node, "--manifests", manifests, extra)
    }

    /// Starts `svclb run` on `node`, following the cluster that `kubeconfig` leads to.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn follow_cluster(node: &Node, kubeconfig: &Path, extra: &[&str]) -> Result<Self> {
        Self::launch(node, "--kubeconfig", kubeconfig, extra)
    }

    fn launch(node: &Node, option: &str, source: &Path, extra: &[&str]) -> Result<Self> {
        let ready = node.folder().join("ready");
        remove(&ready)?;
        let mut command = command(node)?;
        command.arg("run").arg(option).arg(source);
        command.args(["--node-name", &node.name]).arg("--bpffs").arg(node.bpffs());
        if !extra.contains(&"--cgroup") {
            command.arg("--cgroup").arg(node.cgroup());
        }
        command.arg("--ready-file").arg(&ready).args(extra);
        let log = log_of(node);
        let mut process = Process::start(command, node.netns(), node.cgroup(), &log)?;
        let became = wait_for("the agent to be ready", READY_WITHIN, || match process.must_run() {
            Err(ended) => Some(Err(ended)),
            Ok(()) => ready.exists().then_some(Ok(())),
        });
        became.flatten().with_context(|| {
            format!("the agent of {}, its last lines:\n{}", node.name, process.log_tail(30))
        })?;
        Ok(Self { process })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Fails if it has ended, with the last lines of its log.
    ///
    /// # Errors
    /// It has.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// Ends it at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It does not end in time, or with a failure.
    pub fn terminate(self) -> Result<()> {
        let status = self.process.terminate()?;
        if !status.success() {
            bail!("the agent ended after SIGTERM: {status}");
        }
        Ok(())
    }
}

impl Node {
    /// Runs `svclb` with `arguments` on this node; its output. `--bpffs` is added.
    ///
    /// # Errors
    /// The binary is missing or fails; the message holds its standard error.
    pub fn svclb(&self, arguments: &[&str]) -> Result<String> {
        let mut command = command(self)?;
        command.args(arguments).arg("--bpffs").arg(self.bpffs());
        let output = self.netns().run(|| command.output().context("svclb: no start"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("svclb {} on {}: {}", arguments.join(" "), self.name, errors.trim());
        }
        String::from_utf8(output.stdout).context("svclb: output is not UTF-8")
    }

    /// How often each outcome of [`svclb_common::outcome`] was counted on this node.
    ///
    /// # Errors
    /// As [`Node::svclb`].
    pub fn outcomes(&self) -> Result<Vec<(String, u64)>> {
        let stats: Value = serde_json::from_str(&self.svclb(&["get", "stats", "-o", "json"])?)?;
        let rows = stats["outcomes"].as_array().into_iter().flatten();
        let pair =
            |row: &Value| Some((row["outcome"].as_str()?.to_owned(), row["count"].as_u64()?));
        rows.map(|row| pair(row).with_context(|| format!("svclb get stats: {row}"))).collect()
    }

    /// How often one outcome was counted on this node.
    ///
    /// # Errors
    /// As [`Node::svclb`], and if there is no such outcome.
    pub fn outcome(&self, name: &str) -> Result<u64> {
        let counts = self.outcomes()?;
        let found = counts.iter().find(|(outcome, _)| outcome == name);
        found.map(|(_, count)| *count).with_context(|| format!("no outcome {name}"))
    }

    /// The last lines of its agent's log, for a failure's report.
    pub fn agent_log(&self, lines: usize) -> String {
        let text = fs::read_to_string(log_of(self)).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How many operations the last agent has written when it took over what was there.
    ///
    /// # Errors
    /// No agent has adopted anything.
    pub fn adoption(&self) -> Result<u64> {
        let log = self.agent_log(usize::MAX);
        let line = log.lines().rev().find(|line| line.contains(" adopted "));
        let line = line.with_context(|| format!("{}: no agent has adopted", self.name))?;
        logged(line, "operations").with_context(|| format!("no operations in {line}"))
    }
}

/// A number that a line of the agent's log has as a field.
pub fn logged(line: &str, field: &str) -> Option<u64> {
    let mut fields = line.split(' ').filter_map(|word| word.split_once('='));
    fields.find_map(|(name, value)| (name == field).then(|| value.parse().ok()).flatten())
}

fn command(node: &Node) -> Result<Command> {
    let path = binary("svclb", "SVCLB_BIN", "svclb-userspace")?;
    let mut command = Command::new(path);
    command.env("NO_COLOR", "1").current_dir(node.folder());
    Ok(command)
}

fn log_of(node: &Node) -> PathBuf {
    node.folder().join("agent.log")
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_log_line_is_found_by_its_field() {
        let line = "12:00 INFO svclb: adopted services=3 operations=17 micros=250";
        assert_eq!(logged(line, "operations"), Some(17));
        assert_eq!(logged(line, "micros"), Some(250));
        assert_eq!(logged(line, "services_"), None);
        assert_eq!(logged("pods=many", "pods"), None);
    }
}
