//! Processes of the lab: started inside a namespace and a cgroup, ended when their value drops.

use std::{
    env, fs,
    fs::File,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    netns::Netns,
    wait::{SOON, wait_for},
};

/// A running process; its standard output and error go to a log file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` inside `netns` and `cgroup`. It outlives a terminal's Ctrl-C.
    ///
    /// # Errors
    /// The program or the log file cannot be opened, or the cgroup refuses it.
    pub fn start(mut command: Command, netns: &Netns, cgroup: &Path, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("{}: cannot be opened", log.display()))?;
        let errors = file.try_clone().context("log file")?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let child = netns.run(|| command.spawn().with_context(|| format!("{name}: no start")))?;
        let process = Self { child, name, log: log.to_owned() };
        // cgroup.procs takes one number a write.
        let procs = cgroup.join("cgroup.procs");
        File::options()
            .write(true)
            .open(&procs)
            .and_then(|mut file| file.write_all(process.id().to_string().as_bytes()))
            .with_context(|| format!("{}: {} not moved", procs.display(), process.name))?;
        Ok(process)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Fails if the process has ended, with the last lines of its log.
    ///
    /// # Errors
    /// It has.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}\n{}", self.name, self.log_tail(30)),
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let what = format!("{} to end after SIGTERM", self.name);
        wait_for(&what, SOON, || self.ended())
    }

    /// Ends it at once (SIGKILL).
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().with_context(|| format!("{}: no exit status", self.name))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.id().cast_signed());
        kill(pid, signal).with_context(|| format!("{}: {signal} not sent", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The path of a binary of this workspace: named by the environment variable `variable`, or beside
/// the running one, where cargo puts it.
///
/// # Errors
/// It is not there; the message says how to build it.
pub fn binary(name: &str, variable: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let own = env::current_exe().context("the running binary's path")?;
    // Tests run from target/<profile>/deps.
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|p| p.is_file());
    found.with_context(|| {
        format!(
            "{name} is not built beside {}: run `cargo build -p {package}`, or name the binary in \
             {variable}",
            own.display()
        )
    })
}
