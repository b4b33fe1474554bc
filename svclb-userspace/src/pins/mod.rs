//! What stays in the kernel while no agent runs: maps and links, pinned below
//! `<bpffs>/svclb/<layout version>/{maps,links}`.

mod layout;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use aya::maps::{Map, MapData, MapError, MapInfo};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use svclb_common::layout as contract;

pub use layout::{Layout, Mismatch};

/// Where bpffs is mounted unless the operator says otherwise.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf";

/// How often an unload may remove the folder before it is locked.
const LOCK_ATTEMPTS: usize = 10;

/// The pins on one bpffs. Holds paths only; nothing is opened or created until it is asked for.
#[derive(Clone, Debug)]
pub struct Pins {
    home: PathBuf,
    root: PathBuf,
}

/// Proof that no other agent uses the same bpffs. The kernel takes the lock back when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _directory: Flock<File>,
}

impl Pins {
    /// The pins below the bpffs mounted at `bpffs`.
    ///
    /// # Errors
    ///
    /// Fails if no bpffs is mounted there; the message says how to mount one.
    pub fn on(bpffs: &Path) -> Result<Self> {
        let found = statfs(bpffs).with_context(|| format!("bpffs {}", bpffs.display()))?;
        if found.filesystem_type() != BPF_FS_MAGIC {
            bail!("{at} is not a bpffs; mount one: mount -t bpf bpf {at}", at = bpffs.display());
        }
        let home = bpffs.join("svclb");
        Ok(Self { root: home.join(contract::VERSION), home })
    }

    /// Whether anything is pinned.
    pub fn exist(&self) -> bool {
        self.root.exists()
    }

    /// The folder that holds everything, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The pin of a map.
    pub fn map_path(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// The folder of the pinned links.
    pub fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Makes the folders.
    ///
    /// # Errors
    ///
    /// Fails if bpffs refuses, with the folder's path.
    pub fn create(&self) -> Result<()> {
        for folder in [self.root.join("maps"), self.links()] {
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(())
    }

    /// Takes the lock of the agent; `None` if another process holds it.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be made or opened.
    pub fn lock(&self) -> Result<Option<Lock>> {
        let home = &self.home;
        for _ in 0..LOCK_ATTEMPTS {
            fs::create_dir_all(home).with_context(|| format!("create {}", home.display()))?;
            let folder = File::open(home).with_context(|| format!("open {}", home.display()))?;
            let directory = match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
                Ok(directory) => directory,
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, error)) => {
                    return Err(error).with_context(|| format!("lock {}", home.display()));
                }
            };
            if is_at(&directory, home) {
                return Ok(Some(Lock { _directory: directory }));
            }
        }
        bail!("{} comes and goes", home.display())
    }

    /// Opens a pinned map as the typed map `M`.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if it is not pinned or has other key or value sizes.
    pub fn map<M: TryFrom<Map, Error = MapError>>(&self, name: &str) -> Result<M> {
        let open = || -> Result<M, MapError> {
            M::try_from(Map::from_map_data(MapData::from_pin(self.map_path(name))?)?)
        };
        open().with_context(|| format!("open the pinned map {name} below {}", self.root.display()))
    }

    /// The layout of a pinned map; `None` if it is not pinned.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if the kernel does not tell.
    pub fn layout(&self, name: &str) -> Result<Option<Layout>> {
        let path = self.map_path(name);
        if !path.exists() {
            return Ok(None);
        }
        let describe = || MapInfo::from_pin(&path).and_then(|info| Layout::of_pinned(&info));
        describe().map(Some).with_context(|| format!("pinned map {}", path.display()))
    }

    /// Takes all pins and folders away, links first, so that no program runs on maps that are going. Links
    /// whose last pin this was are detached by the kernel. Returns how many pins were removed.
    ///
    /// # Errors
    ///
    /// Fails at the first pin that cannot be removed; calling again goes on from there.
    pub fn remove(&self) -> Result<usize> {
        let mut removed = 0;
        for folder in [self.links(), self.root.join("maps")] {
            removed += remove_files(&folder)?;
            remove_folder(&folder)?;
        }
        remove_folder(&self.root)?;
        // Another version's pins are that version's to remove.
        if fs::read_dir(&self.home).is_ok_and(|others| others.count() == 0) {
            remove_folder(&self.home)?;
        }
        Ok(removed)
    }
}

/// Removes a pin, if it is there. A link whose last pin it was is detached by the kernel.
pub(crate) fn unpin(pin: &Path) -> Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", pin.display()))
        }
        _ => Ok(()),
    }
}

/// Whether `folder` is still what `path` leads to: an unload may have removed it meanwhile, and a
/// lock on what nobody else can find protects nothing.
fn is_at(folder: &File, path: &Path) -> bool {
    match (folder.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(found)) => (held.dev(), held.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

fn remove_files(folder: &Path) -> Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.with_context(|| format!("read {}", folder.display()))?,
    };
    let mut removed = 0;
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        removed += 1;
    }
    Ok(removed)
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_bpffs_is_refused_with_the_mount_command() {
        let error = Pins::on(Path::new("/proc")).expect_err("procfs is no bpffs").to_string();
        assert!(error.contains("mount -t bpf bpf /proc"), "{error}");
    }

    #[test]
    fn a_removed_folder_is_not_where_it_was() {
        let path = std::env::temp_dir().join(format!("svclb-pins-{}", std::process::id()));
        fs::create_dir_all(&path).expect("create");
        let folder = File::open(&path).expect("open");
        assert!(is_at(&folder, &path));
        fs::remove_dir(&path).expect("remove");
        assert!(!is_at(&folder, &path));
        fs::create_dir(&path).expect("create again");
        assert!(!is_at(&folder, &path));
        fs::remove_dir(&path).expect("remove again");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = Pins::on(Path::new("/nonexistent")).expect_err("no such folder");
        assert!(format!("{error:#}").contains("/nonexistent"), "{error:#}");
    }
}
