//! Where the programs are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub apiserver: PathBuf,
    /// The controllers.
    pub controller_manager: PathBuf,
    /// The command-line client.
    pub kubectl: PathBuf,
}

impl Programs {
    /// Finds each in the folder that `KUBEBUILDER_ASSETS` names, or in `control-plane` of cargo's
    /// target folder, where `cargo xtask setup` leaves them.
    ///
    /// # Errors
    /// One is missing; the message says which, and what to do.
    pub fn find() -> Result<Self> {
        Ok(Self {
            etcd: find("etcd")?,
            apiserver: find("kube-apiserver")?,
            controller_manager: find("kube-controller-manager")?,
            kubectl: find("kubectl")?,
        })
    }

    /// kube-proxy of the same version, which is no part of a control plane and looked for apart.
    ///
    /// # Errors
    /// As [`Programs::find`].
    pub fn kube_proxy(&self) -> Result<PathBuf> {
        find("kube-proxy")
    }
}

fn find(name: &str) -> Result<PathBuf> {
    let path = folders()?.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    path.with_context(|| {
        format!(
            "{name} is missing: `cargo xtask setup` builds it with Go, or name a folder that has \
             it in KUBEBUILDER_ASSETS"
        )
    })
}

fn folders() -> Result<Vec<PathBuf>> {
    let named = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let own = env::current_exe().context("the running binary's path")?;
    // Tests run from target/<profile>/deps, programs from target/<profile>.
    let built = own.ancestors().skip(2).take(2).map(|folder| folder.join("control-plane"));
    Ok(named.into_iter().chain(built.filter(|folder: &PathBuf| Path::is_dir(folder))).collect())
}
