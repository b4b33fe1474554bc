//! Where a lab keeps its things, and how all of them go: at its end, or at the start of the next
//! run after a crash.
//!
//! Everything carries the lab's tag: namespaces `svclb-<tag>-*`, the folder `/run/svclb-lab/<tag>`
//! (manifests, logs, one bpffs a node) and the cgroup `svclb-<tag>`. A tag that begins with the
//! number of a process that no longer runs is a leftover.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use svclb::attach::cgroup_root;

use super::{
    netns::{self, NAMES},
    wait::{SOON, wait_for},
};

const ROOT: &str = "/run/svclb-lab";

/// The places of one lab. Dropping it ends the lab's processes and removes everything.
#[derive(Debug)]
pub(crate) struct Place {
    tag: String,
    folder: PathBuf,
    cgroup: PathBuf,
}

impl Place {
    /// A place that no other lab has, with the tag `<pid>-<n>`. Leftovers are removed first.
    pub(crate) fn unique() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Tests run side by side; what one is removing, another need not.
        static REMOVING: Mutex<()> = Mutex::new(());
        let removing = REMOVING.lock().unwrap_or_else(PoisonError::into_inner);
        remove_stale()?;
        drop(removing);
        Self::at(format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The place of that tag; a lab that was kept there is removed first.
    pub(super) fn named(tag: &str) -> Result<Self> {
        remove_stale()?;
        remove(tag)?;
        Self::at(tag.to_owned())
    }

    fn at(tag: String) -> Result<Self> {
        let (folder, cgroup) = (Path::new(ROOT).join(&tag), cgroup_of(&tag)?);
        for dir in [&folder, &cgroup] {
            fs::create_dir_all(dir)
                .with_context(|| format!("{}: cannot be made", dir.display()))?;
        }
        Ok(Self { tag, folder, cgroup })
    }

    /// The name of the namespace of `role`.
    pub(crate) fn netns(&self, role: &str) -> String {
        format!("svclb-{}-{role}", self.tag)
    }

    /// The lab's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder of `role` in the lab's folder.
    pub(super) fn subfolder(&self, role: &str) -> Result<PathBuf> {
        let dir = self.folder.join(role);
        fs::create_dir_all(&dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
        Ok(dir)
    }

    /// Makes a cgroup of `role` in the lab's cgroup.
    pub(super) fn cgroup(&self, role: &str) -> Result<PathBuf> {
        let dir = self.cgroup.join(role);
        fs::create_dir_all(&dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
        Ok(dir)
    }

    /// Mounts a bpffs of its own in the folder of `role`.
    pub(crate) fn bpffs(&self, role: &str) -> Result<PathBuf> {
        let dir = self.subfolder(&format!("{role}/bpf"))?;
        mount(Some("bpf"), &dir, Some("bpf"), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("{}: bpffs cannot be mounted", dir.display()))?;
        Ok(dir)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.tag) {
            eprintln!("lab {}: not all could be removed: {error:#}", self.tag);
        }
    }
}

/// Removes the labs of processes that no longer run.
fn remove_stale() -> Result<()> {
    let names = names(Path::new(NAMES)).chain(names(Path::new(ROOT)));
    let mut tags: Vec<String> = names.filter_map(|name| stale_tag(&name)).collect();
    tags.sort();
    tags.dedup();
    tags.iter().try_for_each(|tag| remove(tag))
}

/// The tag in the name of a namespace or of a lab's folder, if its process is gone.
fn stale_tag(name: &str) -> Option<String> {
    let rest = name.strip_prefix("svclb-").unwrap_or(name);
    let mut parts = rest.split('-');
    let (pid, n) = (parts.next()?, parts.next()?);
    let numbers = pid.parse::<u32>().is_ok() && n.parse::<u32>().is_ok();
    (numbers && !Path::new("/proc").join(pid).exists()).then(|| format!("{pid}-{n}"))
}

/// Ends the processes of a lab and removes its mounts, namespaces, cgroups and folder.
fn remove(tag: &str) -> Result<()> {
    remove_cgroup(&cgroup_of(tag)?)?;
    let folder = Path::new(ROOT).join(tag);
    for target in mounts_below(&folder)? {
        umount2(&target, MntFlags::MNT_DETACH)
            .with_context(|| format!("{}: cannot be unmounted", target.display()))?;
    }
    let prefix = format!("svclb-{tag}-");
    names(Path::new(NAMES))
        .filter(|name| name.starts_with(&prefix))
        .for_each(|n| netns::remove(&n));
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Kills everything in a cgroup and removes it with its children.
fn remove_cgroup(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    fs::write(dir.join("cgroup.kill"), "1")
        .with_context(|| format!("{}: cannot be killed", dir.display()))?;
    wait_for("the lab's processes to end", SOON, || {
        let events = fs::read_to_string(dir.join("cgroup.events")).ok()?;
        events.contains("populated 0").then_some(())
    })?;
    remove_empty(dir)
}

fn remove_empty(cgroup: &Path) -> Result<()> {
    let mut children = names(cgroup).map(|name| cgroup.join(name)).filter(|path| path.is_dir());
    children.try_for_each(|child| remove_empty(&child))?;
    fs::remove_dir(cgroup).with_context(|| format!("{}: cannot be removed", cgroup.display()))
}

fn cgroup_of(tag: &str) -> Result<PathBuf> {
    let root = cgroup_root().context("the lab's processes have control groups of their own")?;
    Ok(root.join(format!("svclb-{tag}")))
}

fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    Ok(targets.filter(|target| target.starts_with(folder)).collect())
}

fn names(dir: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labs_of_dead_processes_are_stale() {
        let own = process::id();
        assert_eq!(stale_tag(&format!("svclb-{own}-1-node1")), None);
        assert_eq!(stale_tag("svclb-4294967295-3-pod-1-2").as_deref(), Some("4294967295-3"));
        assert_eq!(stale_tag("4294967295-3").as_deref(), Some("4294967295-3"));
        assert_eq!(stale_tag("svclb-demo-node1"), None);
        assert_eq!(stale_tag("cni-1234"), None);
    }
}
