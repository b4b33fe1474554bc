//! Debian's packages.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::shell::{self, say};

/// A machine on which packages of Debian can be installed.
pub(crate) struct Apt(());

impl Apt {
    /// This machine, if it has apt-get and this process is root.
    ///
    /// # Errors
    /// If it is not such a machine.
    pub(crate) fn find() -> Result<Self> {
        if which::which("apt-get").is_err() {
            bail!("this system has no apt-get");
        }
        if !is_root() {
            bail!("only root can install packages");
        }
        Ok(Self(()))
    }

    /// Installs packages; those that are there already are left alone.
    ///
    /// # Errors
    /// If apt-get fails, with its output above.
    pub(crate) fn install(&self, packages: &[String]) -> Result<()> {
        let names = packages.join(" ");
        say(&format!("installing Debian's {names}"));
        know(packages)?;
        shell::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
    }

    /// The version of a package that would be installed, if there is one.
    ///
    /// # Errors
    /// If the package lists cannot be fetched.
    pub(crate) fn candidate(&self, package: &str) -> Result<Option<String>> {
        know(&[package.to_owned()])?;
        Ok(candidate(package))
    }
}

/// Fetches the package lists, unless they name all of `packages`.
fn know(packages: &[String]) -> Result<()> {
    if knows(packages) { Ok(()) } else { shell::run(apt_get().arg("update")) }
}

fn apt_get() -> Command {
    let mut command = shell::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "-o", "Dpkg::Use-Pty=0"]);
    command
}

/// Whether the package lists are there and name all of `packages`.
fn knows(packages: &[String]) -> bool {
    packages.iter().all(|name| candidate(name).is_some())
}

/// The version of a package that the lists on this machine offer.
fn candidate(package: &str) -> Option<String> {
    let policy = shell::output(shell::command("apt-cache").arg("policy").arg(package))?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

fn is_root() -> bool {
    // The owner of a process's folder in /proc is its effective user.
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|folder| folder.uid() == 0)
}
