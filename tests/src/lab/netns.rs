//! Network namespaces that go when their value drops.

use std::{
    fs::{self, File},
    net::IpAddr,
    panic,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

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

    /// The MAC address that packets to `dst` are sent to. Something must have been sent there: the
    /// next hop's address is the one that the kernel has found.
    ///
    /// # Errors
    /// There is no route, or the next hop has not been found.
    pub fn next_hop_mac(&self, dst: IpAddr) -> Result<[u8; 6]> {
        let ask = |what: &[&str]| -> Result<Value> {
            let args = [&["-j", "-n", &self.name], what].concat();
            Ok(serde_json::from_str(&command::run("ip", &args, "")?)?)
        };
        let route = ask(&["route", "get", &dst.to_string()])?;
        let hop = route[0]["gateway"].as_str().map_or_else(|| dst.to_string(), str::to_owned);
        let neighbours = ask(&["neigh", "show", "to", &hop])?;
        let mac = neighbours[0]["lladdr"].as_str();
        let bytes = mac.map(|mac| mac.split(':').map(|byte| u8::from_str_radix(byte, 16)));
        let bytes: Option<Vec<u8>> = bytes.and_then(|bytes| bytes.collect::<Result<_, _>>().ok());
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .with_context(|| format!("{}: the next hop {hop} to {dst} has no MAC", self.name))
    }

    /// Its devices but loopback.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn devices(&self) -> Result<Vec<String>> {
        let names = self.run(|| {
            let all = nix::net::if_::if_nameindex().context("the list of devices")?;
            Ok(all.iter().map(|d| d.name().to_string_lossy().into_owned()).collect::<Vec<_>>())
        })?;
        Ok(names.into_iter().filter(|name| name != "lo").collect())
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

    /// Does `verb`, `add` or `del`, with an address of `device`, at once usable and on no subnet.
    ///
    /// # Errors
    /// As [`Netns::ip`].
    pub fn address(&self, verb: &str, ip: IpAddr, device: &str) -> Result<()> {
        let length = if ip.is_ipv4() { 32 } else { 128 };
        let nodad = if verb == "add" && ip.is_ipv6() { " nodad" } else { "" };
        self.ip(format!("address {verb} {ip}/{length} dev {device}{nodad}"))
    }

    /// Forgets what the namespace has heard of paths' MTUs.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn forget_path_mtus(&self) -> Result<()> {
        let flush =
            |family| command::run("ip", &["-n", &self.name, family, "route", "flush", "cache"], "");
        flush("-4").and_then(|_| flush("-6")).map(drop)
    }

    /// Loads an nftables ruleset into the namespace.
    ///
    /// # Errors
    /// nft refuses it.
    pub fn nft(&self, rules: &str) -> Result<()> {
        self.run(|| command::run("nft", &["-f", "-"], rules).map(drop))
            .with_context(|| format!("network namespace {}", self.name))
    }

    /// Adds a table of nftables (its family and its name, as `inet flood`) with these chains.
    ///
    /// # Errors
    /// nft refuses it.
    pub fn nft_table<'a>(&'a self, table: &'static str, chains: &str) -> Result<NftTable<'a>> {
        self.nft(&format!("table {table} {{\n{chains}}}\n"))?;
        Ok(NftTable { netns: self, table })
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

/// A table of nftables until the value drops.
#[derive(Debug)]
pub struct NftTable<'a> {
    netns: &'a Netns,
    table: &'static str,
}

impl Drop for NftTable<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.netns.nft(&format!("delete table {}\n", self.table)) {
            eprintln!("a table of nftables stays behind: {error:#}");
        }
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
