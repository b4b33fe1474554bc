//! The agent: everything that runs in `svclb run`.
//!
//! ```text
//! source ----------> Programmer: engine -> pinned maps      (the calling thread)
//! netlink: Monitor --^  addresses of the node
//!             `-------> Worker: hooks, `devices`            (a thread of its own)
//! every few seconds, and after changes: Housekeeper: sweep, scan of the flows  (a blocking task)
//! every few seconds: Housekeeper: sweep, scan of the flows  (a blocking task)
//! load balancers: HealthChecks: ports that tell of Services (tasks, kept by the Programmer)
//! ```

mod backoff;
mod health_checks;
mod housekeeper;
mod main_loop;
mod observe;
mod passes;
mod pressure;
mod programmer;
mod ready;
mod stop;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use tracing::{info, warn};

use crate::{
    attach::{self, Mechanism, Monitor, SocketHooks, SocketOptions, Worker},
    config::Observability,
    desired::NodePortAddresses,
    events,
    health::Health,
    loader::{self, Loaded},
    metrics::Metrics,
    pins::Pins,
    plan::Limits,
    source::{
        Source,
        kubernetes::{Connection, Kubernetes},
        manifests::{InUse, Manifests, Ranges, watch},
    },
    state::{self, Traffic},
    stranded::Places,
    sweep::Sweeper,
    telemetry::{self, KernelLog},
};

use health_checks::HealthChecks;
use housekeeper::Housekeeper;
use main_loop::MainLoop;
use observe::Observers;
use programmer::Programmer;
use ready::Ready;
use stop::Stop;

/// How the agent runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of this node in the cluster.
    pub node_name: String,
    /// What to follow.
    pub source: From,
    /// What is decided when the kernel programs are loaded.
    pub load: loader::Options,
    /// What the operator says about clients and addresses.
    pub traffic: Traffic,
    /// At which addresses NodePorts answer.
    pub node_ports: NodePortAddresses,
    /// How the names of devices for pods begin; `None` if that says nothing.
    pub pod_interfaces: Option<String>,
    /// How to attach; the best that the kernel has if `None`.
    pub mechanism: Option<Mechanism>,
    /// How to serve the node's own processes.
    pub sockets: SocketOptions,
    /// The kernel programs' own log.
    pub kernel_log: KernelLog,
    /// A file that exists while the agent is ready.
    pub ready_file: Option<PathBuf>,
    /// Where metrics and health are served.
    pub observability: Observability,
}

/// Where the cluster's objects come from.
#[derive(Clone, Debug)]
pub enum From {
    /// A folder.
    Manifests {
        /// The folder.
        folder: PathBuf,
        /// Where Services without addresses and NodePorts get them from.
        ranges: Ranges,
    },
    /// A cluster's API.
    Kubernetes(Connection),
}

impl From {
    /// Begins to follow it for `node`. Manifests ask what their Services have been given before.
    ///
    /// # Errors
    ///
    /// There is nothing to follow, or `in_use` fails.
    pub async fn start(
        &self,
        node: &Arc<str>,
        in_use: impl FnOnce() -> Result<InUse>,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Source> {
        match self {
            Self::Manifests { folder, ranges } => {
                let (folder, ranges) = (folder.clone(), ranges.clone());
                let options = watch::Options { folder, ranges, in_use: in_use()? };
                Manifests::start(options).map(Source::Manifests).context("follow the manifests")
            }
            Self::Kubernetes(connection) => {
                let source = Kubernetes::start(connection, node, metrics, health).await;
                source.map(Source::Kubernetes).context("follow the cluster")
            }
        }
    }
}

/// Runs the agent until it is told to stop (SIGTERM, SIGINT). Programs stay attached, and all maps
/// pinned.
///
/// # Errors
///
/// Fails if another agent uses the same bpffs, if a port to listen at is taken, if the programs
/// cannot be loaded, the control group is none or the devices cannot be listed, and when the source
/// or netlink ends.
pub async fn run(pins: Pins, options: Options) -> Result<()> {
    let mut stop = Stop::new()?;
    let Some(_lock) = pins.lock()? else {
        bail!("another agent is using {}", pins.root().display());
    };
    let observers = Observers::start(&options.observability, options.load.masquerade_ports.len())?;
    let ready = Ready::new(options.ready_file.clone(), observers.health.clone())?;
    let mut loaded = loader::load(&pins, &options.load)?;
    follow_kernel(&pins, &mut loaded, options.kernel_log)?;
    attach::serve_sockets(&mut loaded, &pins, &options.sockets)?;
    let mechanism = options.mechanism.unwrap_or_else(Mechanism::detect);
    let kernel = (loaded.limits(), Sweeper::new(&mut loaded, &pins)?);
    let worker = Worker::start(loaded, &pins, mechanism, observers.metrics.clone())?;
    let monitor = Monitor::start(&worker, options.pod_interfaces.clone()).await?;
    let main_loop = main_loop(&pins, kernel, options, observers, ready, &monitor).await?;
    let result = until_stopped(main_loop, monitor, &mut stop).await;
    worker.join();
    result
}

/// Takes over what is pinned, and begins to follow the source.
async fn main_loop(
    pins: &Pins,
    (limits, sweeper): (Limits, Sweeper),
    options: Options,
    observers: Observers,
    ready: Ready,
    monitor: &Monitor,
) -> Result<MainLoop> {
    let progress = observers.progress(&options.node_name);
    let engine = state::Options {
        node: options.node_name.as_str().into(),
        limits,
        grace: programmer::GRACE,
        traffic: options.traffic.clone(),
    };
    let checks = HealthChecks::new(observers.health.clone());
    let node_ports = options.node_ports.clone();
    let mut programmer = Programmer::adopt(pins, engine, node_ports, progress, checks)?;
    let in_use = || Ok(InUse::of(programmer.kernel()));
    let (node, source) = (options.node_name.as_str().into(), &options.source);
    let source = source.start(&node, in_use, &observers.metrics, &observers.health).await?;
    programmer.set_reporter(source.reporter());
    let places = places(&options.sockets);
    let housekeeper = Housekeeper::new(sweeper, pins, places, source.reporter())?;
    let housekeeper = Arc::new(housekeeper);
    let health = observers.health.clone();
    let scrapes = observers.serve_metrics(pins)?;
    Ok(MainLoop::new(programmer, housekeeper, ready, health, scrapes, source, monitor))
}

/// Where sockets are translated.
fn places(sockets: &SocketOptions) -> Option<Places> {
    match sockets.hooks {
        SocketHooks::Host => Some(Places::Own),
        SocketHooks::All => Some(Places::Named),
        SocketHooks::Off => None,
    }
}

async fn until_stopped(main_loop: MainLoop, monitor: Monitor, stop: &mut Stop) -> Result<()> {
    let mut monitor = tokio::spawn(monitor.run());
    let result = tokio::select! {
        failed = main_loop.run() => failed,
        ended = &mut monitor => return ended.context("the netlink task")?,
        signal = stop.received() => {
            info!(signal, "stopping, programs stay attached");
            Ok(())
        }
    };
    monitor.abort();
    // It can only say that it was aborted.
    let _ = monitor.await;
    result
}

/// Starts the tasks that tell what the kernel programs say. The agent goes on without them.
fn follow_kernel(pins: &Pins, loaded: &mut Loaded, log: KernelLog) -> Result<()> {
    let pins = pins.clone();
    tokio::spawn(async move {
        if let Err(error) = events::follow(&pins).await {
            warn!(error = format!("{error:#}"), "events are not followed any more");
        }
    });
    if log == KernelLog::Off {
        return Ok(());
    }
    let follow = telemetry::kernel_log(&mut loaded.ebpf)?;
    tokio::spawn(async move {
        if let Err(error) = follow.await {
            warn!(
                error = format!("{error:#}"),
                "the kernel programs' log is not followed any more"
            );
        }
    });
    Ok(())
}
