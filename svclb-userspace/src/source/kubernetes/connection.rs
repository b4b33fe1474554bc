//! How the API is reached, and as whom.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hyper::Uri;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tracing::warn;

/// Where the API servers are, and where the credentials for them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Connection {
    /// A kubeconfig; the Pod's ServiceAccount if there is none.
    pub kubeconfig: Option<PathBuf>,
    /// The servers, instead of the one that the kubeconfig or the Pod's environment names.
    pub servers: Vec<Uri>,
}

impl Connection {
    /// One configuration for each server.
    ///
    /// # Errors
    ///
    /// The kubeconfig or the Pod's files cannot be read or used.
    pub(super) async fn configs(&self) -> Result<Vec<Config>> {
        let config = match &self.kubeconfig {
            Some(path) => {
                let what = || format!("kubeconfig {}", path.display());
                let kubeconfig = Kubeconfig::read_from(path).with_context(what)?;
                let options = KubeConfigOptions::default();
                Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(what)?
            }
            None => self.of_pod().context("the Pod's ServiceAccount")?,
        };
        if config.proxy_url.is_some() {
            bail!("the kubeconfig names a proxy: the agent must reach the API server itself");
        }
        if self.servers.is_empty() {
            return Ok(vec![config]);
        }
        let at = |server: &Uri| {
            let mut config = config.clone();
            config.cluster_url = server.clone();
            config
        };
        Ok(self.servers.iter().map(at).collect())
    }

    fn of_pod(&self) -> Result<Config> {
        if !self.servers.is_empty() {
            // The name is replaced by the servers' own.
            return Ok(Config::incluster_dns()?);
        }
        let config = Config::incluster()?;
        warn!(
            server = %config.cluster_url,
            "the API server is reached through its own Service, which may need this agent first: \
             give --api-servers"
        );
        Ok(config)
    }
}
