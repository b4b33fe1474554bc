//! A containerd of a node's own: its state in the node's folder, its processes in the node's
//! namespace and cgroup, where a container with the host's network therefore runs, too.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use svclb_tests::lab::{Node, Process, SOON, command, wait_for};

/// How long containerd may take to answer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What must be there.
const PROGRAMS: &[&str] = &["containerd", "ctr", "runc"];

/// Fails if a program is missing.
///
/// # Errors
/// It is; the message names it.
pub(crate) fn is_installed() -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    for program in PROGRAMS {
        let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
        ensure!(found, "{program} is missing (Debian: containerd, runc)");
    }
    Ok(())
}

/// A running containerd. Drop it after its containers.
pub(crate) struct Containerd<'a> {
    node: &'a Node,
    folder: PathBuf,
    _process: Process,
}

impl<'a> Containerd<'a> {
    /// Starts it on `node` and waits until it answers.
    ///
    /// # Errors
    /// It does not start; the message holds its last lines.
    pub(crate) fn start(node: &'a Node) -> Result<Self> {
        let folder = node.folder().join("containerd");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let config = folder.join("config.toml");
        fs::write(&config, configuration(&folder)).context("containerd's configuration")?;
        let mut program = Command::new("containerd");
        program.arg("--config").arg(&config);
        let log = folder.join("containerd.log");
        let mut process = Process::start(program, node.netns(), node.cgroup(), &log)?;
        let socket = socket(&folder);
        let answers = || match process.must_run() {
            Err(ended) => Some(Err(ended)),
            Ok(()) => command::run("ctr", &["-a", &socket, "version"], "").ok().map(|_| Ok(())),
        };
        wait_for("containerd to answer", READY_WITHIN, answers)??;
        Ok(Self { node, folder, _process: process })
    }

    /// Imports an image from an archive.
    ///
    /// # Errors
    /// containerd refuses it.
    pub(crate) fn import(&self, archive: &Path) -> Result<()> {
        self.ctr(&["images", "import", &archive.to_string_lossy()]).map(drop)
    }

    /// Runs `ctr`; its output.
    ///
    /// # Errors
    /// It fails; the message holds its standard error.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let socket = socket(&self.folder);
        command::run("ctr", &[&["-a", socket.as_str()], arguments].concat(), "")
    }

    /// Starts a container with options of `ctr run`; a command, if any, takes the place of the
    /// image's own.
    ///
    /// # Errors
    /// `ctr` cannot be started.
    pub(crate) fn run(
        &self,
        name: &str,
        image: &str,
        options: &[String],
        command: &[String],
    ) -> Result<Container<'_>> {
        let id = format!("{}-{name}", self.node.netns().name());
        let mut run = Command::new("ctr");
        run.args(["-a", &socket(&self.folder), "run", "--rm", "--net-host"]);
        let cgroup = cgroup(self.node).join(name);
        run.arg("--cgroup").arg(Path::new("/").join(cgroup)).args(options);
        run.args([image, &id]).args(command);
        let log = self.folder.join(format!("{name}.log"));
        let process = Process::start(run, self.node.netns(), self.node.cgroup(), &log)?;
        Ok(Container { containerd: self, id, process })
    }
}

/// A container; it ends when the value drops.
pub(crate) struct Container<'a> {
    containerd: &'a Containerd<'a>,
    id: String,
    process: Process,
}

impl Container<'_> {
    /// What it runs in: `ctr` hands signals and output on.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if self.process.ended().is_some() {
            return;
        }
        // It may end just now.
        let _ended = self.containerd.ctr(&["tasks", "kill", "--signal", "SIGKILL", &self.id]);
        if let Err(error) = wait_for("the container to end", SOON, || self.process.ended()) {
            eprintln!("container {}: {error:#}", self.id);
        }
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let groups = cgroup(self.node);
        for hierarchy in fs::read_dir(CGROUPS).into_iter().flatten().flatten() {
            for group in groups.ancestors().filter(|group| !group.as_os_str().is_empty()) {
                // The lab's own is not empty yet, and goes with the lab.
                let _in_use = fs::remove_dir(hierarchy.path().join(group));
            }
        }
    }
}

/// Where control groups are mounted: on older machines one hierarchy each for the controllers, in
/// which runc makes groups of the same name.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The path of a node's control group in every hierarchy.
fn cgroup(node: &Node) -> PathBuf {
    let mut names: Vec<_> = node.cgroup().iter().rev().take(2).collect();
    names.reverse();
    names.into_iter().collect()
}

fn socket(folder: &Path) -> String {
    folder.join("containerd.sock").to_string_lossy().into_owned()
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "version = 2\n\
         root = \"{folder}/root\"\n\
         state = \"{folder}/state\"\n\
         # There is no kubelet.\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\n\
         address = \"{folder}/containerd.sock\"\n"
    )
}
