//! A tree of files, and the archives of it: the same tree always gives the same bytes.

pub(crate) mod elf;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cpio::newc;
use tar::{Builder, EntryType, Header};

/// Who may do what with a file; all belong to root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Everybody may read it.
    Plain = 0o644,
    /// Everybody may read and run it.
    Executable = 0o755,
}

/// What cpio has of a mode besides the permissions (cpio(5)): a folder that everybody may enter.
const FOLDER: u32 = 0o040_755;
/// A regular file.
const REGULAR: u32 = 0o100_000;

/// Regular files by their paths; the leading `/` is left out.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<PathBuf, (Mode, Vec<u8>)>);

impl Tree {
    /// Adds or replaces a file.
    pub(crate) fn add(&mut self, path: impl AsRef<Path>, mode: Mode, content: Vec<u8>) {
        let path = path.as_ref();
        let path = path.strip_prefix("/").unwrap_or(path);
        self.0.insert(path.to_owned(), (mode, content));
    }

    /// Whether a file has this name, in whatever folder.
    pub(crate) fn has_file_named(&self, name: &str) -> bool {
        self.0.keys().any(|path| path.ends_with(name))
    }

    /// The tree as a tar archive: sorted, of root, of no time.
    ///
    /// # Errors
    /// A path is too long for the format.
    pub(crate) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for folder in self.folders() {
            let mut header = header(EntryType::Directory, Mode::Executable, 0);
            append(&mut archive, &mut header, folder, &[])?;
        }
        for (path, (mode, content)) in &self.0 {
            let mut header = header(EntryType::Regular, *mode, content.len());
            append(&mut archive, &mut header, path, content)?;
        }
        archive.into_inner().context("the end of the archive")
    }

    /// The tree as a cpio archive in the "newc" format, which Linux unpacks as its first file system
    /// (Documentation/driver-api/early-userspace/buffer-format.rst).
    ///
    /// # Errors
    /// A file is too long for the format.
    pub(crate) fn initramfs(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        let folders = self.folders().into_iter().map(|path| (path, FOLDER, &[][..]));
        let files = self.0.iter().map(|(path, (mode, content))| {
            (path.as_path(), REGULAR | *mode as u32, content.as_slice())
        });
        for (number, (path, mode, content)) in (1..).zip(folders.chain(files)) {
            let name = path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?;
            let length = content.len().try_into().with_context(|| format!("{name}: too long"))?;
            let mut entry = newc::Builder::new(name).ino(number).mode(mode).write(archive, length);
            entry.write_all(content)?;
            archive = entry.finish()?;
        }
        Ok(newc::trailer(archive)?)
    }

    /// All folders, each before those in it.
    fn folders(&self) -> BTreeSet<&Path> {
        let above = self.0.keys().flat_map(|path| path.ancestors().skip(1));
        above.filter(|folder| !folder.as_os_str().is_empty()).collect()
    }
}

fn header(kind: EntryType, mode: Mode, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode as u32);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    header: &mut Header,
    path: &Path,
    content: &[u8],
) -> Result<()> {
    let appended = archive.append_data(header, path, content);
    appended.with_context(|| format!("{} in the archive", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(tree: &Tree) -> Vec<String> {
        let bytes = tree.archive().unwrap();
        let mut archive = tar::Archive::new(&*bytes);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|entry| entry.path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.add("/usr/bin/svclb", Mode::Executable, b"program".to_vec());
        tree.add("/etc/nsswitch.conf", Mode::Plain, Vec::new());
        let expected = ["etc", "usr", "usr/bin", "etc/nsswitch.conf", "usr/bin/svclb"];
        assert_eq!(paths(&tree), expected);
    }

    #[test]
    fn an_initramfs_has_the_folders_too() {
        let mut tree = Tree::default();
        tree.add("/sbin/init", Mode::Executable, b"program".to_vec());
        let archive = tree.initramfs().unwrap();
        let mut rest = archive.as_slice();
        let mut seen = Vec::new();
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let entry = reader.entry();
            seen.push((entry.name().to_owned(), entry.mode(), entry.file_size()));
            rest = reader.finish().unwrap();
        }
        let expected = [("sbin", 0o040_755, 0), ("sbin/init", 0o100_755, 7)];
        assert_eq!(seen, expected.map(|(name, mode, size)| (name.to_owned(), mode, size)));
    }

    #[test]
    fn the_order_of_adding_leaves_no_trace() {
        let (mut one, mut other) = (Tree::default(), Tree::default());
        let files = [("/a/1", Mode::Plain), ("/b/2", Mode::Executable)];
        files.iter().for_each(|(path, mode)| one.add(path, *mode, path.as_bytes().to_vec()));
        files
            .iter()
            .rev()
            .for_each(|(path, mode)| other.add(path, *mode, path.as_bytes().to_vec()));
        assert_eq!(one.archive().unwrap(), other.archive().unwrap());
    }
}
