//! Which directories have to be watched so that no change of the folder goes unseen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use notify::{RecursiveMode, Watcher};

/// How often the set of directories may change while it is being armed.
const ATTEMPTS: usize = 8;

/// The directories that are watched.
#[derive(Debug)]
pub(super) struct Watches<W> {
    watcher: W,
    folder: PathBuf,
    /// With device and inode: a directory that was replaced is another one.
    armed: BTreeMap<PathBuf, (u64, u64)>,
}

impl<W: Watcher> Watches<W> {
    pub(super) fn new(watcher: W, folder: PathBuf) -> Self {
        // A relative path has parents too.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { watcher, folder, armed: BTreeMap::new() }
    }

    /// Watches what has to be watched now. Returns whether every change will be seen.
    pub(super) fn arm(&mut self) -> bool {
        for _ in 0..ATTEMPTS {
            let wanted = wanted(&self.folder);
            if wanted == self.armed {
                return true;
            }
            if !self.replace(wanted) {
                return false;
            }
        }
        false
    }

    fn replace(&mut self, wanted: BTreeMap<PathBuf, (u64, u64)>) -> bool {
        let over: Vec<_> = self
            .armed
            .iter()
            .filter(|(path, id)| wanted.get(*path) != Some(*id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in over {
            self.armed.remove(&path);
            // A directory that is gone has taken its watch with it.
            self.watcher.unwatch(&path).ok();
        }
        let mut complete = true;
        for (path, id) in wanted {
            if self.armed.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.armed.insert(path, id);
                }
                Err(_) => complete = false,
            }
        }
        complete
    }
}

/// The folder; the directory it is in, where it may be replaced; and those that its symbolic links
/// lead to. While the folder does not exist, the closest directory above it that does.
fn wanted(folder: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let mut paths = BTreeSet::new();
    let mut existing = folder.ancestors().filter(|path| path.is_dir());
    if let Some(first) = existing.next() {
        paths.insert(first.to_owned());
        if first == folder {
            paths.extend(existing.next().map(Path::to_owned));
            paths.extend(link_targets(folder));
        }
    }
    let id = |path: PathBuf| {
        let metadata = path.metadata().ok()?;
        Some((path, (metadata.dev(), metadata.ino())))
    };
    paths.into_iter().filter_map(id).collect()
}

/// The directories that hold what the folder's symbolic links end at, and the folder's own.
fn link_targets(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let targets = links.filter_map(|link| fs::canonicalize(link.path()).ok());
    let holders = targets.filter_map(|target| target.parent().map(Path::to_owned));
    let real = fs::canonicalize(folder).ok().filter(move |real| real != folder);
    let beside = real.and_then(|real| real.parent().map(Path::to_owned));
    holders.chain(beside)
}
