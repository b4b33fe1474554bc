//! Debian's kernels.

use std::{
    cmp::Ordering,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::archive::Archive;
use crate::{cache, shell};

/// Stands for the highest version that there is.
pub(super) const NEWEST: &str = "newest";

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// `Linux` and its version.
    pub(super) name: String,
    /// The version of Debian's package.
    pub(super) version: String,
    folder: PathBuf,
}

impl Kernel {
    /// The newest kernel of that version of Linux, in the cache from now on.
    ///
    /// # Errors
    /// If Debian has none, or it cannot be fetched.
    pub(super) fn find(archive: &Archive, version: &str) -> Result<Self> {
        let names = archive.search("^linux-(image|binary)-.*-cloud-amd64$");
        let package = newest(&names, version)
            .with_context(|| format!("Debian has no kernel {version} for clouds"))?;
        let version = archive.version(package, None)?;
        let folder = cache::once(&format!("kernel-{package}_{version}"), package, |made| {
            let parts: Vec<_> =
                parts(package).iter().map(|part| format!("{part}={version}")).collect();
            archive.unpack(&parts, made)?;
            let release = release(made)?;
            shell::run(shell::command("/sbin/depmod").arg("-b").arg(base(made)).arg(release))
        })?;
        let name = format!("Linux {}", release(&folder)?);
        Ok(Self { name, version, folder })
    }

    /// What the machine boots.
    ///
    /// # Errors
    /// If the packages hold none.
    pub(super) fn image(&self) -> Result<PathBuf> {
        let release = release(&self.folder)?;
        let places = [
            self.folder.join(format!("boot/vmlinuz-{release}")),
            modules(&self.folder).join(&release).join("vmlinuz"),
        ];
        places.into_iter().find(|path| path.is_file()).context("a package without a kernel")
    }

    /// The modules and their index, by their paths on the machine.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn modules(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let (release, mut found) = (release(&self.folder)?, Vec::new());
        let own = modules(&self.folder).join(&release);
        let target = Path::new("/lib/modules").join(&release);
        for part in ["kernel/net", "kernel/drivers/net", "kernel/lib", "kernel/crypto", ""] {
            collect(&own.join(part), part.is_empty(), &mut |path, content| {
                let place = path.strip_prefix(&own).unwrap_or(path);
                found.push((target.join(place), content));
            })?;
        }
        Ok(found)
    }
}

/// Hands each file of a folder to `take`; those of the folders in it as well, unless `flat`, but for
/// drivers of hardware.
fn collect(folder: &Path, flat: bool, take: &mut impl FnMut(&Path, Vec<u8>)) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            take(&path, fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        } else if !flat && !["ethernet", "wireless"].iter().any(|name| path.ends_with(name)) {
            collect(&path, flat, take)?;
        }
    }
    Ok(())
}

/// Where packages have modules: releases differ.
fn modules(folder: &Path) -> PathBuf {
    base(folder).join("lib/modules")
}

/// The folder that has `lib`.
fn base(folder: &Path) -> PathBuf {
    let merged = folder.join("usr");
    if merged.join("lib/modules").is_dir() { merged } else { folder.to_owned() }
}

/// What `uname -r` says on the kernel.
fn release(folder: &Path) -> Result<String> {
    let mut found = fs::read_dir(modules(folder)).context("a package without modules")?;
    let release = found.next().context("a package without modules")??;
    Ok(release.file_name().to_string_lossy().into_owned())
}

/// The package of the newest kernel of a version of Linux, `6.1` say, or of any for [`NEWEST`].
fn newest<'a>(names: &'a [String], version: &str) -> Option<&'a str> {
    let wanted = match version {
        NEWEST => Vec::new(),
        version => numbers(version),
    };
    let matching = names.iter().filter(|name| numbers(name).starts_with(&wanted));
    matching.map(String::as_str).max_by(|a, b| compare(a, b))
}

/// By version; where a version is one package and several, the several have the kernel.
fn compare(a: &str, b: &str) -> Ordering {
    let is_split = |name: &str| name.starts_with("linux-binary-");
    numbers(a).cmp(&numbers(b)).then(is_split(a).cmp(&is_split(b)))
}

/// The packages that make up a kernel.
fn parts(package: &str) -> Vec<String> {
    match package.strip_prefix("linux-binary-") {
        Some(rest) => {
            ["binary", "modules", "base"].map(|part| format!("linux-{part}-{rest}")).to_vec()
        }
        None => vec![package.to_owned()],
    }
}

/// All numbers in a version or in a package's name, but for that of the processor.
fn numbers(name: &str) -> Vec<u32> {
    let name = name.strip_suffix("-cloud-amd64").unwrap_or(name);
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.12.95+deb13-cloud-amd64",
            "linux-binary-7.2.13+deb14-cloud-amd64",
            "linux-image-7.2.13+deb14-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(newest(&names(), "6.1"), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(newest(&names(), "6.12"), Some("linux-image-6.12.95+deb13-cloud-amd64"));
        assert_eq!(newest(&names(), NEWEST), Some("linux-binary-7.2.13+deb14-cloud-amd64"));
        assert_eq!(newest(&names(), "6.13"), None);
    }

    #[test]
    fn a_kernel_may_come_in_parts() {
        let names = names();
        assert_eq!(parts(&names[0]), [names[0].clone()]);
        assert_eq!(
            parts(&names[3]),
            ["binary", "modules", "base"]
                .map(|part| format!("linux-{part}-7.2.13+deb14-cloud-amd64"))
        );
    }
}
