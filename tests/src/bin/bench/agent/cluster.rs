//! The API: many objects at once, and single changes.

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use svclb_tests::control_plane;
use tokio::task::JoinSet;

use super::objects::{self, Endpoints, Size};

/// How many requests are under way while the cluster is filled.
const WRITERS: u32 = 8;

/// Creates every Service and its slice.
///
/// # Errors
/// The API server refuses one.
pub(super) fn fill(api: &control_plane::Api, size: Size, endpoints: &Endpoints) -> Result<()> {
    let endpoints = endpoints.clone();
    api.with_client(|client| async move {
        let mut writers = JoinSet::new();
        for first in 0..WRITERS {
            let (client, endpoints) = (client.clone(), endpoints.clone());
            let own = (first..size.services).step_by(WRITERS as usize);
            writers.spawn(async move { create(&client, own, &endpoints).await });
        }
        while let Some(done) = writers.join_next().await {
            done.context("a writer")??;
        }
        Ok(())
    })
}

async fn create(
    client: &Client,
    numbers: impl Iterator<Item = u32>,
    endpoints: &Endpoints,
) -> Result<()> {
    let (services, slices) = (services(client), slices(client));
    for i in numbers {
        let name = objects::name(i);
        let service = objects::service(&name, None)?;
        let what = || format!("Service {name}");
        services.create(&PostParams::default(), &service).await.with_context(what)?;
        let what = || format!("EndpointSlice {name}");
        let slice = endpoints.slice(i)?;
        slices.create(&PostParams::default(), &slice).await.with_context(what)?;
    }
    Ok(())
}

/// Creates Pods on a node, ready all of them, each with a Service of its own.
///
/// # Errors
/// The API server refuses one.
pub(super) fn add_pods(api: &control_plane::Api, pods: u32, node: &str) -> Result<()> {
    for i in 0..pods {
        api.apply(&objects::pod(i, node))?;
    }
    api.with_client(|client| async move {
        for i in 0..pods {
            let name = objects::pod_name(i);
            let service = objects::service(&name, Some(&name))?;
            services(&client).create(&PostParams::default(), &service).await?;
            Change::Pod(i, true).write(&client).await?;
        }
        Ok(())
    })
}

/// One write to the API.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A slice as it is to be.
    Slice(Box<EndpointSlice>),
    /// Whether a Pod is ready.
    Pod(u32, bool),
}

impl Change {
    /// Writes it.
    ///
    /// # Errors
    /// The API server refuses it.
    pub(super) async fn write(&self, client: &Client) -> Result<()> {
        match self {
            Self::Slice(slice) => {
                let name = slice.metadata.name.as_deref().context("a slice without a name")?;
                let written = slices(client).replace(name, &PostParams::default(), slice).await;
                written.map(drop).with_context(|| format!("EndpointSlice {name}"))
            }
            Self::Pod(i, ready) => {
                let (name, status) = (objects::pod_name(*i), objects::readiness(*ready));
                let (params, patch) = (PatchParams::default(), Patch::Merge(status));
                let written = pods(client).patch_status(&name, &params, &patch).await;
                written.map(drop).with_context(|| format!("status of Pod {name}"))
            }
        }
    }
}

fn services(client: &Client) -> Api<Service> {
    Api::namespaced(client.clone(), "default")
}

fn slices(client: &Client) -> Api<EndpointSlice> {
    Api::namespaced(client.clone(), "default")
}

fn pods(client: &Client) -> Api<Pod> {
    Api::namespaced(client.clone(), "default")
}
