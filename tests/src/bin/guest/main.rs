//! The first process of an emulated machine, for `cargo xtask kernels`: makes of a bare kernel what a
//! distribution would, runs commands one after the other, says how each ended, and turns the machine
//! off.
//!
//! What it says goes to the second serial port; the kernel's own words go to the first. The commands
//! are lines of [`COMMANDS`]: words without quotes, variables of the environment before the program's
//! name.

use std::{
    convert::Infallible,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        stat::Mode,
        wait::{WaitStatus, wait},
    },
    unistd::mkdir,
};

/// What is to be run.
const COMMANDS: &str = "/commands";
/// Where everything is said that the host should hear.
const PORT: &str = "/dev/ttyS1";

/// File systems by where they belong, in an order in which each has its place.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("/proc", "proc"),
    ("/sys", "sysfs"),
    ("/dev", "devtmpfs"),
    ("/sys/fs/cgroup", "cgroup2"),
    ("/sys/fs/bpf", "bpf"),
    ("/sys/kernel/tracing", "tracefs"),
    ("/run", "tmpfs"),
    ("/tmp", "tmpfs"),
];

/// Modules that the kernel does not load by itself when something asks for what they do.
const MODULES: &[&str] = &["br_netfilter", "tun", "tcp_diag", "udp_diag", "inet_diag"];

fn main() -> Result<Infallible> {
    prepare().and_then(|port| run_all(&port)).unwrap_or_else(|error| {
        // Nobody else is there to hear of it.
        eprintln!("guest: {error:#}");
    });
    Ok(reboot(RebootMode::RB_POWER_OFF)?)
}

/// Makes the machine one that commands can run on; the port for their output.
fn prepare() -> Result<File> {
    for (folder, kind) in FILE_SYSTEMS {
        match mkdir(*folder, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("folder {folder}")),
        }
        mount(Some(*kind), *folder, Some(*kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {folder}"))?;
    }
    let port = File::options().write(true).open(PORT).context(PORT)?;
    if !Path::new("/dev/fd").exists() {
        std::os::unix::fs::symlink("/proc/self/fd", "/dev/fd").context("/dev/fd")?;
    }
    for module in MODULES {
        // Some kernels have it built in, or do without.
        let _ = Command::new("/sbin/modprobe").args(["--quiet", module]).status();
    }
    fs::write("/proc/sys/net/core/bpf_jit_enable", "1").context("the JIT compiler")?;
    let up = Command::new("/sbin/ip").args(["link", "set", "lo", "up"]).status();
    up.context("ip link set lo up")?;
    Ok(port)
}

/// Runs the commands; those after one that failed as well.
fn run_all(mut port: &File) -> Result<()> {
    for line in fs::read_to_string(COMMANDS).context(COMMANDS)?.lines() {
        writeln!(port, "==> {line}")?;
        let code = run(port, line)?;
        writeln!(port, "<== {code}")?;
    }
    Ok(())
}

/// Runs a command, and collects whatever ends meanwhile; its exit code, or 128 and its signal.
fn run(port: &File, line: &str) -> Result<i32> {
    let words: Vec<_> = line.split(' ').collect();
    let variables = words.iter().map_while(|word| word.split_once('='));
    let (program, arguments) =
        words[variables.clone().count()..].split_first().context("an empty command")?;
    let child = Command::new(program)
        .args(arguments)
        .envs(variables)
        .env("PATH", "/sbin:/bin:/usr/sbin:/usr/bin")
        .current_dir("/tmp")
        .stdout(port.try_clone()?)
        .stderr(port.try_clone()?)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let child = child.id().cast_signed();
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid.as_raw() == child => return Ok(code),
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw() == child => {
                return Ok(128 + signal as i32);
            }
            _ => {}
        }
    }
}
