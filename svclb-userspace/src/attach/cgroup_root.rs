//! Where the hierarchy of control groups (version 2) is mounted, and its root seen.

use std::{
    cmp::Reverse,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// Why there is no folder to attach socket hooks to.
#[derive(Debug, thiserror::Error)]
pub enum NoCgroup {
    /// No cgroup2 is mounted.
    #[error("no cgroup2 file system is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")]
    NotMounted,
    /// The list of mounts cannot be read.
    #[error("/proc/self/mountinfo: {0}")]
    Unreadable(io::Error),
    /// The folder cannot be looked at.
    #[error("{}: {error}", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What the kernel says.
        error: nix::Error,
    },
    /// The folder is of another file system.
    #[error("{} is not in a cgroup2 file system", .0.display())]
    OtherFileSystem(PathBuf),
}

/// The folder of the control group above all others that this process sees.
///
/// # Errors
///
/// No cgroup2 is mounted.
pub fn cgroup_root() -> Result<PathBuf, NoCgroup> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").map_err(NoCgroup::Unreadable)?;
    let root = find(&mountinfo).ok_or(NoCgroup::NotMounted)?;
    check_cgroup(&root).map(|()| root)
}

/// Fails unless `folder` is a control group's.
///
/// # Errors
///
/// It is not there, or of another file system.
pub(super) fn check_cgroup(folder: &Path) -> Result<(), NoCgroup> {
    match statfs(folder) {
        Ok(found) if found.filesystem_type() == CGROUP2_SUPER_MAGIC => Ok(()),
        Ok(_) => Err(NoCgroup::OtherFileSystem(folder.to_owned())),
        Err(error) => Err(NoCgroup::Missing { folder: folder.to_owned(), error }),
    }
}

/// Whether a control group is the machine's own, above all others: only these have no events.
pub fn is_machines(cgroup: &Path) -> bool {
    !cgroup.join("cgroup.events").exists()
}

/// One line of mountinfo: see proc_pid_mountinfo(5).
struct Mount {
    /// Which folder of the file system is mounted. Of cgroup2 it is seen from the process's cgroup
    /// namespace: `/..` is the one above.
    root: PathBuf,
    point: PathBuf,
    is_cgroup2: bool,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        Some(Self { root, point, is_cgroup2: file_system.starts_with("cgroup2 ") })
    }

    /// The smallest is the one that shows most.
    fn rank(&self) -> (Reverse<usize>, usize, usize) {
        let above = self.root.iter().filter(|part| *part == "..").count();
        (Reverse(above), self.root.as_os_str().len(), self.point.as_os_str().len())
    }
}

/// The mount that shows most of the hierarchy. On machines with control groups of both versions it
/// is beside those of version 1, and containers have mounts of their own small part.
fn find(mountinfo: &str) -> Option<PathBuf> {
    let mounts: Vec<_> = mountinfo.lines().filter_map(Mount::parse).collect();
    let is_hidden = |i: usize| mounts[i + 1..].iter().any(|later| later.point == mounts[i].point);
    let shown = mounts.iter().enumerate().filter(|(i, mount)| mount.is_cgroup2 && !is_hidden(*i));
    shown.min_by_key(|(_, mount)| mount.rank()).map(|(_, mount)| mount.point.clone())
}

/// A path whose blanks and backslashes are written as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mountinfo: &str) -> Option<String> {
        find(mountinfo).map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    fn the_hierarchy_is_found_where_it_is_mounted() {
        let unified = "29 22 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(found(unified).as_deref(), Some("/sys/fs/cgroup"));
        let hybrid = "30 22 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
                      31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
                      32 30 0:28 / /sys/fs/cgroup/cpu rw shared:10 - cgroup cgroup rw,cpu\n";
        assert_eq!(found(hybrid).as_deref(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(found("32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
        assert_eq!(found("nonsense\n"), None);
    }

    #[test]
    fn of_several_mounts_the_one_that_shows_most_is_taken() {
        // A container's own part, and the node's hierarchy that was mounted over it.
        let over = "40 20 0:25 / /sys/fs/cgroup ro - cgroup2 cgroup ro\n\
                    41 40 0:25 /../../.. /sys/fs/cgroup ro - cgroup2 cgroup2 ro\n";
        assert_eq!(found(over).as_deref(), Some("/sys/fs/cgroup"));
        let beside = "40 20 0:25 /kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup ro\n\
                      41 20 0:25 / /host/sys/fs/cgroup ro - cgroup2 cgroup2 ro\n";
        assert_eq!(found(beside).as_deref(), Some("/host/sys/fs/cgroup"));
        let above = "40 20 0:25 / /sys/fs/cgroup ro - cgroup2 cgroup ro\n\
                     41 20 0:25 /../.. /run/node ro - cgroup2 cgroup2 ro\n";
        assert_eq!(found(above).as_deref(), Some("/run/node"));
        let hidden = "40 20 0:25 / /sys/fs/cgroup ro - cgroup2 cgroup ro\n\
                      41 20 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n";
        assert_eq!(found(hidden), None);
    }

    #[test]
    fn blanks_in_paths_are_read() {
        let line = r"29 22 0:25 / /mnt/a\040b\134c rw - cgroup2 cgroup2 rw";
        assert_eq!(found(line).as_deref(), Some(r"/mnt/a b\c"));
    }

    #[test]
    fn a_folder_that_is_no_control_group_is_refused() {
        let error = check_cgroup(Path::new("/proc")).expect_err("procfs is no cgroup2").to_string();
        assert!(error.contains("/proc is not in a cgroup2"), "{error}");
        let error = check_cgroup(Path::new("/nonexistent")).expect_err("no such folder");
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
