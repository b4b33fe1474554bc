//! Which files of the folder are new, changed or gone.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::cluster::FileChange;

/// How old a file's last change must be for its stamp to prove that it has not changed since:
/// coarser than any file system's clock.
const SETTLED_SECONDS: i64 = 2;

/// What was seen of each file.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    seen: BTreeMap<String, Seen>,
}

/// What was seen of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    /// Its contents, under this stamp.
    Stamped(Stamp),
    /// Its contents, but they may still have been changing.
    Unsettled,
    /// This error.
    Unreadable(String),
}

/// What changes when a file is written or replaced; the target's, for a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Scanner {
    /// Reads what has changed since the last scan.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(super) fn scan(&mut self, folder: &Path) -> io::Result<Vec<(String, FileChange)>> {
        let files = manifests(folder)?;
        let gone = self.seen.keys().filter(|name| !files.contains_key(*name)).cloned();
        let mut changes: Vec<_> = gone.map(|name| (name, FileChange::Removed)).collect();
        self.seen.retain(|name, _| files.contains_key(name));
        for (name, path) in files {
            let known = self.seen.get(&name);
            if let Some((seen, change)) = look(&path, known) {
                self.seen.insert(name.clone(), seen);
                changes.push((name, change));
            }
        }
        Ok(changes)
    }
}

/// The manifest files of a folder, by name. Hidden files (editors', and `..data` of a mounted
/// ConfigMap) are left out.
fn manifests(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_yaml = matches!(path.extension().and_then(OsStr::to_str), Some("yaml" | "yml"));
        if let Some(name) = name.filter(|name| is_yaml && !name.starts_with('.'))
            && path.metadata().is_ok_and(|metadata| metadata.is_file())
        {
            files.insert(name, path);
        }
    }
    Ok(files)
}

/// Looks at a file of which `known` was seen last. `None` if there is nothing new.
fn look(path: &Path, known: Option<&Seen>) -> Option<(Seen, FileChange)> {
    match read(path, known) {
        Ok(read) => read.map(|(seen, bytes)| (seen, FileChange::Contents(bytes))),
        Err(error) => {
            let message = error.to_string();
            let seen = Seen::Unreadable(message.clone());
            (known != Some(&seen)).then_some((seen, FileChange::Unreadable(message)))
        }
    }
}

/// The contents of a file, if its stamp does not prove that they are known.
fn read(path: &Path, known: Option<&Seen>) -> io::Result<Option<(Seen, Vec<u8>)>> {
    let stamp = Stamp::of(&path.metadata()?);
    if known == Some(&Seen::Stamped(stamp)) {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let settled = now.as_secs().cast_signed() - stamp.changed.0 > SETTLED_SECONDS;
    let seen = if settled { Seen::Stamped(stamp) } else { Seen::Unsettled };
    Ok(Some((seen, bytes)))
}
