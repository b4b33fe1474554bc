//! Network namespaces that go when their value drops.

use std::{
    fs::{self, File},
    panic,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use super::command;

/// Where `ip netns` keeps the names of namespaces.
pub(super) const NAMES: &str = "/run/netns";

/// A named network namespace: `ip netns exec NAME ...` enters it from a shell.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
}

impl Netns {
    /// Makes a namespace of that name, loopback up, without IPv6 duplicate address detection.
    ///
    /// # Errors
    /// The name is taken, or this process may not make namespaces.
    pub fn create(name: &str) -> Result<Self> {
        command::run("ip", &["netns", "add", name], "")?;
        let path = path(name);
        let file =
            File::open(&path).with_context(|| format!("{}: cannot be opened", path.display()))?;
        let netns = Self { name: name.to_owned(), file };
        netns.ip("link set lo up")?;
        netns.sysctls(&[
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/router_solicitations", "0"),
        ])?;
        Ok(netns)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` on a thread of its own inside the namespace. Sockets that `f` opens and processes
    /// that it starts stay inside.
    ///
    /// # Errors
    /// The namespace cannot be entered, or `f` fails.
    ///
    /// # Panics
    /// If `f` does.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("network namespace {}: cannot be entered", self.name))?;
            f()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            Err(panicked) => panic::resume_unwind(panicked),
        }
    }

    /// Runs lines of `ip` in the namespace, as one batch.
    ///
    /// # Errors
    /// A line fails; the message shows it.
    pub fn ip(&self, lines: impl AsRef<str>) -> Result<()> {
        let lines = lines.as_ref();
        command::run("ip", &["-n", &self.name, "-batch", "-"], lines)
            .with_context(|| format!("network namespace {}", self.name))?;
        Ok(())
    }

    /// Loads an nftables ruleset into the namespace.
    ///
    /// # Errors
    /// nft refuses it.
    pub fn nft(&self, rules: &str) -> Result<()> {
        self.run(|| command::run("nft", &["-f", "-"], rules).map(drop))
            .with_context(|| format!("network namespace {}", self.name))
    }

    /// Writes kernel parameters below /proc/sys of the namespace.
    ///
    /// # Errors
    /// The kernel has no such parameter or refuses the value.
    pub fn sysctls(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            settings.iter().try_for_each(|(name, value)| {
                fs::write(Path::new("/proc/sys").join(name), value)
                    .with_context(|| format!("kernel parameter {name} = {value}"))
            })
        })
        .with_context(|| format!("network namespace {}", self.name))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes a namespace by name. What still runs inside keeps it alive without a name.
pub(super) fn remove(name: &str) {
    if let Err(error) = command::run("ip", &["netns", "del", name], "") {
        eprintln!("network namespace {name} stays behind: {error:#}");
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(NAMES).join(name)
}
