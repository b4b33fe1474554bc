//! Tools that are built from source into a cache, once for all clones of this user.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::shell::{self, say};

/// A program of a crate, in the form in which it is needed.
pub(crate) struct Tool {
    /// The crate, and the program that it installs.
    pub(crate) name: &'static str,
    /// Its exact version.
    pub(crate) version: &'static str,
    /// What tells this form from others of the version, for the folder's name; may be empty.
    pub(crate) form: String,
    /// What `cargo install` must be told to make this form.
    pub(crate) options: Vec<String>,
}

impl Tool {
    /// Where the program is, once it is built.
    ///
    /// # Errors
    /// If there is no place for a cache.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        Ok(root()?.join(self.folder_name()).join("bin").join(self.name))
    }

    /// Builds the program with `cargo`, unless it is there.
    ///
    /// # Errors
    /// If the cache cannot be written or the build fails, with cargo's output above.
    pub(crate) fn build(&self, cargo: &mut Command) -> Result<()> {
        let what = format!("{} {} (a minute or two, once)", self.name, self.version);
        once(&self.folder_name(), &what, |installed| {
            cargo
                .args(["install", self.name, "--version", self.version, "--locked"])
                .args(&self.options)
                .arg("--root")
                .arg(installed)
                // Not in the clone, whose configuration is not meant for it.
                .current_dir(root()?)
                .env("CARGO_TARGET_DIR", installed.with_file_name("target"))
                // Or cargo advises to add a folder to PATH that is about to move.
                .env("PATH", with_path(&installed.join("bin"))?);
            shell::run(cargo)
        })
        .map(drop)
    }

    fn folder_name(&self) -> String {
        format!("{}-{}{}", self.name, self.version, self.form)
    }
}

/// The folder `name` of the cache; unless it is there, `make` makes it at a path that it is given,
/// beside which it may leave what nobody needs afterwards. A build that is cut off leaves nothing
/// that looks complete. `what` completes "building".
///
/// # Errors
/// If the cache cannot be written or `make` fails.
pub(crate) fn once(
    name: &str,
    what: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = root()?;
    let folder = cache.join(name);
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let _turn = lock(&cache)?;
    if folder.exists() {
        return Ok(folder);
    }
    say(&format!("building {what} into {}", folder.display()));
    let scratch = tempfile::tempdir_in(&cache).context("creating a folder in the cache")?;
    let made = scratch.path().join("made");
    make(&made)?;
    fs::rename(&made, &folder).with_context(|| format!("moving {}", folder.display()))?;
    Ok(folder)
}

/// The folder `name` of the cache, for what changes; it is there afterwards.
///
/// # Errors
/// If the cache cannot be written.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let folder = root()?.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn with_path(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([folder.to_owned()]);
    env::join_paths(folders).context("a folder in PATH")
}

/// `$SVCLB_CACHE`, else `svclb` in the user's cache folder.
fn root() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(own) = set("SVCLB_CACHE") {
        return Ok(own);
    }
    let user = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    user.map(|folder| folder.join("svclb"))
        .context("no place for tools: set SVCLB_CACHE, XDG_CACHE_HOME or HOME")
}

/// Waits until no other process builds into `folder`, and holds the others off until dropped.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}
