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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A kubeconfig of one cluster, with `extra` fields of it.
    fn kubeconfig(extra: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"https://192.0.2.1:6443\"{extra}}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n"
        );
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    async fn configs(file: &std::path::Path, servers: &[&str]) -> Result<Vec<String>> {
        let servers = servers.iter().map(|server| server.parse().expect("a URL")).collect();
        let connection = Connection { kubeconfig: Some(file.to_owned()), servers };
        let configs = connection.configs().await?;
        Ok(configs.iter().map(|config| config.cluster_url.to_string()).collect())
    }

    #[tokio::test]
    async fn servers_take_the_place_of_the_kubeconfigs() {
        let file = kubeconfig("");
        let own = configs(file.path(), &[]).await.expect("valid");
        assert_eq!(own, ["https://192.0.2.1:6443/"]);
        let given = ["https://192.0.2.2:6443/", "https://192.0.2.3/"];
        assert_eq!(configs(file.path(), &given).await.expect("valid"), given);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named() {
        let error = configs("/does/not/exist".as_ref(), &[]).await.expect_err("missing");
        assert!(format!("{error:#}").contains("kubeconfig /does/not/exist"), "{error:#}");
        let file = kubeconfig(", proxy-url: \"http://192.0.2.9\"");
        let error = configs(file.path(), &[]).await.expect_err("a proxy");
        assert!(error.to_string().contains("proxy"), "{error:#}");
    }
}
