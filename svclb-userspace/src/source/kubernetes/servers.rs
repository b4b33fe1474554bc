//! The API servers: one is asked, and another one once it fails.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, Result};
use hyper::{Request, Response};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
};
use tokio::time::timeout;
use tower::{BoxError, Service, ServiceBuilder};
use tracing::info;

use super::watch::Watch;

/// How long a server may take for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may take for the head of an answer; what a watch sends comes after it.
const ANSWER: Duration = Duration::from_secs(30);
/// A peer that has gone without a word is found by probes: silence, then probes at an interval.
/// A watch may be silent for minutes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);

/// The API servers of a cluster.
#[derive(Clone)]
pub(super) struct Servers {
    /// Each with its name, at least one.
    clients: Arc<[(String, Client)]>,
    /// The one that is asked.
    current: Arc<AtomicUsize>,
}

impl Servers {
    /// Of one configuration for each. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// A certificate, key or token cannot be used.
    pub(super) fn new(configs: Vec<Config>) -> Result<Self> {
        let client = |config: Config| {
            let name = config.cluster_url.to_string();
            let client = connect(config).with_context(|| format!("API server {name}"))?;
            Ok((name, client))
        };
        let clients = configs.into_iter().map(client).collect::<Result<_>>()?;
        Ok(Self { clients, current: Arc::default() })
    }

    /// A client that asks whichever server answers. `watch` hears of each request that is granted.
    pub(super) fn client(&self, watch: Option<Arc<Watch>>) -> Client {
        Client::new(Failover { servers: self.clone(), watch }, "default")
    }

    /// Asks the next server from now on, unless somebody else has turned from server `n` already.
    fn turn_from(&self, n: usize) {
        let next = (n + 1) % self.clients.len();
        let turned = self.current.compare_exchange(n, next, Ordering::Relaxed, Ordering::Relaxed);
        if turned.is_ok() && next != n {
            info!(from = self.clients[n].0, to = self.clients[next].0, "another API server");
        }
    }
}

fn connect(config: Config) -> kube::Result<Client> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    let (silence, interval, probes) = KEEPALIVE;
    http.set_keepalive(Some(silence));
    http.set_keepalive_interval(Some(interval));
    http.set_keepalive_retries(Some(probes));
    let https = config.rustls_https_connector_with_connector(http)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}

/// The servers as one.
struct Failover {
    servers: Servers,
    watch: Option<Arc<Watch>>,
}

impl Service<Request<Body>> for Failover {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Whether a server is ready is found out by asking it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (servers, watch) = (self.servers.clone(), self.watch.clone());
        Box::pin(async move {
            let n = servers.current.load(Ordering::Relaxed);
            let (_, client) = &servers.clients[n];
            let answer = match timeout(ANSWER, client.send(request)).await {
                Ok(answer) => answer.map_err(BoxError::from),
                Err(late) => Err(format!("no answer after {ANSWER:?}: {late}").into()),
            };
            match &answer {
                Ok(answer) if answer.status().is_success() => {
                    watch.iter().for_each(|watch| watch.granted());
                }
                Ok(answer) if !answer.status().is_server_error() => {}
                Ok(_) | Err(_) => servers.turn_from(n),
            }
            answer
        })
    }
}
