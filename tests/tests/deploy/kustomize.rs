//! The objects of `deploy/`, as kubectl makes them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use svclb_tests::{control_plane::Programs, lab::command};

/// The folder of the kustomize base.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The kubectl of the tests' control plane, else the user's.
///
/// # Errors
/// There is none.
pub(crate) fn kubectl() -> Result<PathBuf> {
    if let Ok(programs) = Programs::find() {
        return Ok(programs.kubectl);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("kubectl"));
    found
        .into_iter()
        .find(|file| file.is_file())
        .context("kubectl is missing: `cargo xtask setup` builds it, or put one into PATH")
}

/// All objects of the base.
///
/// # Errors
/// kubectl refuses it.
pub(crate) fn objects() -> Result<Vec<Value>> {
    objects_of(&folder())
}

/// All objects that a folder's kustomization makes.
///
/// # Errors
/// kubectl refuses it.
pub(crate) fn objects_of(folder: &Path) -> Result<Vec<Value>> {
    let kubectl = kubectl()?;
    let arguments = ["kustomize", &folder.to_string_lossy()];
    let yaml = command::run(&kubectl.to_string_lossy(), &arguments, "")?;
    serde_saphyr::from_multiple(&yaml).context("the output of kubectl kustomize")
}

/// The one object of a kind.
///
/// # Errors
/// There is none.
pub(crate) fn object(kind: &str) -> Result<Value> {
    let found = objects()?.into_iter().find(|object| object["kind"] == kind);
    found.with_context(|| format!("no {kind} in deploy/"))
}
