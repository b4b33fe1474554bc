//! The programs of a real control plane, for the tests: etcd, kube-apiserver,
//! kube-controller-manager, kubectl and kube-proxy.
//!
//! They are built from the Go module `tests/control-plane`, which holds nothing but versions, into
//! the cache. A folder that `KUBEBUILDER_ASSETS` names is taken instead, so that the tests run
//! without Go too.

mod go;

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::{cache, paths, shell};

/// What a folder that the user names must hold.
const NEEDED: &[&str] = &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];

/// Finds or builds the programs, where the tests will find them.
///
/// # Errors
/// If they are not there and cannot be built; the message says what is missing.
pub(crate) fn provide() -> Result<()> {
    if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)
        && is_complete(&folder)
    {
        shell::say(&format!("control plane: {} (KUBEBUILDER_ASSETS)", folder.display()));
        return Ok(());
    }
    let module = paths::control_plane_module();
    let what = "etcd and Kubernetes' programs for the tests (some minutes, once)";
    let folder = cache::once(&folder_name(&module)?, what, |made| build(&module, made))?;
    shell::say(&format!("control plane: {}", folder.display()));
    link(&folder, &paths::control_plane())
}

fn is_complete(folder: &Path) -> bool {
    NEEDED.iter().all(|program| folder.join(program).is_file())
}

/// A name that no other set of versions has.
fn folder_name(module: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        hash.update(fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    let hex: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("control-plane-{hex}"))
}

fn build(module: &Path, folder: &Path) -> Result<()> {
    let mut go = go::find(module)?;
    fs::create_dir(folder).with_context(|| format!("creating {}", folder.display()))?;
    go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(folder).arg("tool");
    // No C compiler is needed, and no C library at run time, which may change under the cache.
    shell::run(go.env("CGO_ENABLED", "0"))?;
    // The name of its folder in etcd's repository.
    fs::rename(folder.join("server"), folder.join("etcd")).context("naming etcd")
}

/// Makes `place` lead to `folder`, in one step.
fn link(folder: &Path, place: &Path) -> Result<()> {
    let new = place.with_extension("new");
    let _from_a_run_that_was_cut_off = fs::remove_file(&new);
    symlink(folder, &new)
        .and_then(|()| fs::rename(&new, place))
        .with_context(|| format!("linking {}", place.display()))
}
