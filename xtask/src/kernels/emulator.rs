//! QEMU, in software.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{archive::Archive, kernel::Kernel};
use crate::{cache, shell, tools};

/// Older ones corrupt the registers of kernels from 6.12 on now and then.
const OLDEST: u32 = 10;
/// Where Debian has a newer one for releases whose own is older.
const BACKPORTS: &str = "bookworm-backports";
const PROGRAM: &str = "qemu-system-x86_64";
/// The packages that make up one, besides the libraries of the installed one.
const PACKAGES: [&str; 4] =
    ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];

const MEMORY_MIB: u32 = 3072;
/// How long a machine may run: every program verified and a lab of scenarios, in software.
const LIMIT: Duration = Duration::from_secs(3600);
/// How often a machine's end is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// An emulator.
pub(super) struct Emulator {
    /// Its version.
    pub(super) version: String,
    program: PathBuf,
    /// Where its firmware is, if not where it looks by itself.
    data: Vec<PathBuf>,
}

impl Emulator {
    /// This machine's, if it is new enough; else Debian's newer one, in the cache from now on.
    ///
    /// # Errors
    /// If there is none and none can be fetched.
    pub(super) fn find(archive: &Archive) -> Result<Self> {
        tools::emulator()?;
        let own = Self::at(PROGRAM.into(), Vec::new())?;
        let is_new =
            own.version.split('.').next().and_then(|major| major.parse().ok()) >= Some(OLDEST);
        if is_new {
            return Ok(own);
        }
        let versions: Vec<_> = PACKAGES
            .iter()
            .map(|name| Ok(format!("{name}={}", archive.version(name, Some(BACKPORTS))?)))
            .collect::<Result<_>>()?;
        let name = versions[0].replace(['=', ':'], "_");
        let folder = cache::once(&name, &versions[0], |made| archive.unpack(&versions, made))?;
        let data = ["qemu", "seabios"].map(|name| folder.join("usr/share").join(name));
        Self::at(folder.join("usr/bin").join(PROGRAM), data.to_vec())
    }

    fn at(program: PathBuf, data: Vec<PathBuf>) -> Result<Self> {
        let said = shell::output(shell::command(&program).arg("--version"));
        let said = said.with_context(|| format!("{} does not run", program.display()))?;
        let version = said.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let version = version.context("QEMU does not say its version")?.to_owned();
        Ok(Self { version, program, data })
    }

    /// Boots a kernel into `files` (an archive for Linux to unpack), shows what the guest says, and
    /// returns it when the machine is off.
    ///
    /// # Errors
    /// If the machine does not start or does not end.
    pub(super) fn run(&self, kernel: &Kernel, files: &[u8]) -> Result<String> {
        let folder = tempfile::tempdir().context("a folder for the machine")?;
        let (initrd, console) = (folder.path().join("initrd"), folder.path().join("console"));
        fs::write(&initrd, files).context("the machine's files")?;
        let mut machine = self.command(&kernel.image()?, &initrd, &console);
        let mut machine = machine.stdout(Stdio::piped()).spawn().context("starting QEMU")?;
        let output = machine.stdout.take().context("QEMU's output")?;
        let said = thread::spawn(move || relay(BufReader::new(output)));
        let ended = wait(&mut machine);
        let said = said.join().ok().context("reading what the guest says")?;
        if let Err(error) = ended {
            let console = fs::read(&console).unwrap_or_default();
            let console = String::from_utf8_lossy(&console);
            let lines: Vec<_> = console.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            return Err(error.context(format!("the kernel's last words:\n{last}")));
        }
        Ok(said)
    }

    fn command(&self, kernel: &Path, initrd: &Path, console: &Path) -> Command {
        let mut command = shell::command(&self.program);
        for folder in &self.data {
            command.arg("-L").arg(folder);
        }
        let frequency = tsc_khz().map(|khz| format!(" tsc_early_khz={khz}")).unwrap_or_default();
        let words = format!(
            "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off no_timer_check tsc=reliable \
             cgroup_no_v1=all rdinit=/init{frequency}"
        );
        command.args(["-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        command.args(["-m", &MEMORY_MIB.to_string()]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        command.arg("-chardev").arg(format!("file,id=console,path={}", console.display()));
        command.args(["-serial", "chardev:console"]);
        command.args(["-chardev", "stdio,id=guest,signal=off", "-serial", "chardev:guest"]);
        command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd).arg("-append").arg(words);
        command
    }
}

/// The guest's clock is this machine's. Measured against an emulated timer on a busy machine it would
/// be wrong by up to ten times, and all of the guest's times with it.
fn tsc_khz() -> Option<u64> {
    let facts = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = facts.lines().find(|line| line.starts_with("bogomips"))?;
    let bogomips: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some((bogomips * 500.0) as u64)
}

/// Shows lines as they come, and returns them all.
fn relay(lines: impl BufRead) -> String {
    let mut all = String::new();
    for line in lines.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        eprintln!("  | {line}");
        all += line;
        all.push('\n');
    }
    all
}

/// Waits until the machine is off.
fn wait(machine: &mut Child) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = machine.try_wait().context("waiting for QEMU")? {
            return if status.success() { Ok(()) } else { bail!("QEMU: {status}") };
        }
        if Instant::now() >= deadline {
            machine.kill().context("stopping QEMU")?;
            machine.wait().context("stopping QEMU")?;
            bail!("the machine still ran after {LIMIT:?}");
        }
        thread::sleep(LOOK);
    }
}
