//! The objects of the API, as the administrator writes them.

use std::{fmt, future::Future, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::lab::Netns;

/// Who has set the fields that tests set.
const MANAGER: &str = "svclb-tests";

/// How long the API server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kinds that are in no namespace.
const CLUSTER_WIDE: &[&str] = &["Namespace", "Node", "ServiceCIDR"];

/// A client that lives in the network namespace of the control plane. Calls block.
pub struct Api {
    client: Client,
    // Its threads were started in the namespace, so sockets that tasks open belong there.
    runtime: Runtime,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// A client as the user of a kubeconfig; nothing is asked yet.
    pub(super) fn new(netns: &Netns, kubeconfig: &Path) -> Result<Self> {
        let runtime = netns.run(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build().context("no runtime")
        })?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig).context("kubeconfig")?;
        let client = join(&runtime, async move {
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            config.connect_timeout = Some(PATIENCE);
            config.read_timeout = Some(PATIENCE);
            Ok(Client::try_from(config)?)
        })
        .context("client of the API server")?;
        Ok(Self { client, runtime })
    }

    /// Whether the API server says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.text("/readyz").is_ok_and(|text| text == "ok")
    }

    /// What a path holds: an object or a list.
    ///
    /// # Errors
    /// There is nothing, or the API server does not answer.
    pub fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.text(path)?).with_context(|| format!("{path}: not JSON"))
    }

    /// Writes the objects of one or more YAML documents as `kubectl apply --server-side` does, then
    /// their status where they have one: what a kubelet or a cloud's controller would say.
    ///
    /// # Errors
    /// A document is no object, or the API server refuses one.
    pub fn apply(&self, text: &str) -> Result<()> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(text).context("YAML of objects")?;
        objects.into_iter().try_for_each(|object| self.apply_one(object))
    }

    /// Changes some fields of an object in the namespace `default` (a merge patch).
    ///
    /// # Errors
    /// There is no such object, or the API server refuses the change.
    pub fn merge(&self, api_version: &str, kind: &str, name: &str, change: &Value) -> Result<()> {
        let (api, patch) = (self.of(api_version, kind, None)?, Patch::Merge(change.clone()));
        let owned = name.to_owned();
        let patched =
            async move { Ok(api.patch(&owned, &PatchParams::default(), &patch).await.map(drop)?) };
        self.run(patched).with_context(|| format!("changing {kind} {name}"))
    }

    /// Deletes an object of the namespace `default` at once, without the time that a Pod has to
    /// end.
    ///
    /// # Errors
    /// There is no such object.
    pub fn delete(&self, api_version: &str, kind: &str, name: &str) -> Result<()> {
        let (api, owned) = (self.of(api_version, kind, None)?, name.to_owned());
        let now = DeleteParams::default().grace_period(0);
        let deleted = async move { Ok(api.delete(&owned, &now).await.map(drop)?) };
        self.run(deleted).with_context(|| format!("deleting {kind} {name}"))
    }

    /// Runs a task with a client of its own, on threads in the control plane's namespace.
    ///
    /// # Errors
    /// The task fails.
    pub fn with_client<T, F>(&self, task: impl FnOnce(Client) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.run(task(self.client.clone()))
    }

    fn apply_one(&self, mut object: Value) -> Result<()> {
        // A kubelet merges it too: a Node of two families cannot be applied, its addresses are a
        // list by their type.
        let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
        let object: DynamicObject = serde_json::from_value(object).context("an object")?;
        let types = object.types.clone().context("an object without apiVersion and kind")?;
        let name = object.metadata.name.clone().context("an object without a name")?;
        let namespace = object.metadata.namespace.clone();
        let what = format!("applying {} {name}", types.kind);
        let api = self.of(&types.api_version, &types.kind, namespace.as_deref())?;
        let written = async move {
            let params = PatchParams::apply(MANAGER).force();
            patch(&api, &name, &params, &object).await?;
            if let Some(status) = status {
                let patch = Patch::Merge(json!({ "status": status }));
                api.patch_status(&name, &PatchParams::default(), &patch).await?;
            }
            Ok(())
        };
        self.run(written).context(what)
    }

    fn of(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<kube::Api<DynamicObject>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let client = self.client.clone();
        Ok(if CLUSTER_WIDE.contains(&kind) {
            kube::Api::all_with(client, &resource)
        } else {
            kube::Api::namespaced_with(client, namespace.unwrap_or("default"), &resource)
        })
    }

    fn text(&self, path: &str) -> Result<String> {
        let request = http::Request::get(path).body(Vec::new()).context("request")?;
        let client = self.client.clone();
        self.run(async move { Ok(client.request_text(request).await?) })
            .with_context(|| format!("GET {path}"))
    }

    fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        join(&self.runtime, future)
    }
}

/// Runs a future on the threads of a runtime, not on this one.
fn join<T: Send + 'static>(
    runtime: &Runtime,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    runtime.block_on(runtime.spawn(future)).context("a task of the client")?
}

/// Applies an object. A write that meets another's is tried again by the server, which may then find
/// its own node port taken; it gives it back in a moment.
async fn patch(
    api: &kube::Api<DynamicObject>,
    name: &str,
    params: &PatchParams,
    object: &DynamicObject,
) -> kube::Result<()> {
    const PAUSE: Duration = Duration::from_millis(100);
    for _ in 0..50 {
        match api.patch(name, params, &Patch::Apply(object)).await {
            Err(error) if error.to_string().contains("port is already allocated") => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other.map(drop),
        }
    }
    api.patch(name, params, &Patch::Apply(object)).await.map(drop)
}
