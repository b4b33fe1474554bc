//! Where things lie: the clone, the object file, the cache of tools.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The root of the clone that this binary was built from.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The crate of the kernel programs.
pub(crate) fn ebpf_crate() -> PathBuf {
    workspace().join("svclb-ebpf")
}

/// The folder of everything that is built for the kernel.
pub(crate) fn ebpf_target() -> PathBuf {
    workspace().join("target/ebpf")
}

/// The object file that `svclb-userspace` embeds.
pub(crate) fn ebpf_object() -> PathBuf {
    ebpf_target().join("svclb.o")
}

/// The folder of the tools that xtask builds for itself: `$SVCLB_CACHE`, else `svclb` in the user's
/// cache folder.
///
/// # Errors
/// If the environment names no such place.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(own) = set("SVCLB_CACHE") {
        return Ok(own);
    }
    let user = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    user.map(|folder| folder.join("svclb"))
        .context("no place for tools: set SVCLB_CACHE, XDG_CACHE_HOME or HOME")
}

/// Waits until no other process changes `folder`, and holds the others off until dropped.
///
/// # Errors
/// If the lock file cannot be made.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}
