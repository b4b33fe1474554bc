//! A real control plane: etcd, kube-apiserver and kube-controller-manager on a machine of the lab.
//!
//! There is no kubelet: Nodes and Pods are written through the API ([`Api::apply`]), status
//! included, and the lab's processes are what they stand for. EndpointSlices come from the
//! controller, and addresses of Services from the API server.
//!
//! ```no_run
//! use svclb_tests::{
//!     control_plane::{ControlPlane, Programs},
//!     lab::{Lab, Preset, manifests},
//! };
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::new(&Preset::ROUTED)?;
//! let cluster = ControlPlane::start(&lab, Programs::find()?)?;
//! lab.nodes.iter().try_for_each(|node| cluster.api().apply(&manifests::node(node)))?;
//! println!("{}", cluster.kubectl(&["get", "nodes"], "")?);
//! # Ok(())
//! # }
//! ```

mod api;
mod components;
mod kube_proxy;
mod kubeconfig;
mod pki;
mod programs;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

pub use api::Api;
pub use components::SERVICE_RANGES;
pub use kube_proxy::KubeProxy;
pub use programs::Programs;

use crate::lab::{Dual, Lab, Process, Station, address, command, wait_for};
use pki::Pki;

/// How long a component may take to be ready on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// The port of the API server.
const PORT: u16 = 6443;

/// A running control plane. Dropping it ends its processes.
#[derive(Debug)]
pub struct ControlPlane {
    programs: Programs,
    pki: Pki,
    kubeconfig: PathBuf,
    api: Api,
    // Ends before etcd does, which it would wait for.
    served: Option<Served>,
    _etcd: Process,
    // Last: the processes run there.
    station: Station,
}

/// What goes and comes together.
#[derive(Debug)]
struct Served {
    // A controller that loses the API server asks for it less and less often, for a minute in the
    // end, and what it had not heard of stays undone until then: a new one asks at once.
    _controllers: Process,
    _apiserver: Process,
}

impl ControlPlane {
    /// Starts it on a machine of its own in the lab, without any objects but the API server's, and
    /// waits until the controllers work.
    ///
    /// # Errors
    /// A program does not start or is not ready in time; the message holds its last lines.
    pub fn start(lab: &Lab, programs: Programs) -> Result<Self> {
        let station = lab.add_station("control", address::control_plane())?;
        let pki = Pki::create(&station.folder().join("pki"), station.ip)?;
        let kubeconfig = station.folder().join("admin.kubeconfig");
        let admin = pki.client("admin", "system:masters")?;
        kubeconfig::write(&kubeconfig, station.ip, &pki, &admin)?;
        let etcd = components::etcd(&programs, &station)?;
        let api = Api::new(station.netns(), &kubeconfig)?;
        let mut cluster =
            Self { programs, pki, kubeconfig, api, served: None, _etcd: etcd, station };
        cluster.start_apiserver()?;
        Ok(cluster)
    }

    /// The objects, as the administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The administrator's kubeconfig, with an address that every node reaches.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The programs it was started from.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The URL of the API server, which every node reaches.
    pub fn server(&self) -> String {
        server(self.station.ip)
    }

    /// The certificate authority, as PEM.
    pub fn authority(&self) -> PathBuf {
        self.pki.authority()
    }

    /// The machine it runs on.
    pub fn station(&self) -> &Station {
        &self.station
    }

    /// Writes a kubeconfig beside the administrator's that carries a bearer token, as that of a
    /// ServiceAccount; its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        let path = self.station.folder().join(format!("{name}.kubeconfig"));
        kubeconfig::write(&path, self.station.ip, &self.pki, &pki::Identity::Token(token.into()))?;
        Ok(path)
    }

    /// Runs `kubectl` as the administrator and feeds it `input` (`-f -`); what it prints.
    ///
    /// # Errors
    /// It fails; the message holds its standard error.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let kubectl = self.programs.kubectl.to_string_lossy();
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        // Its cache of what the server knows belongs to this cluster.
        let cache = format!("--cache-dir={}", self.station.folder().join("kubectl").display());
        let all = [&[kubeconfig.as_str(), cache.as_str()], arguments].concat();
        self.station.netns().run(|| command::run(&kubectl, &all, input))
    }

    /// Kills the API server and the controllers (SIGKILL); etcd stays.
    ///
    /// # Errors
    /// The API server does not run.
    pub fn kill_apiserver(&mut self) -> Result<()> {
        self.served.take().map(drop).context("the API server does not run")
    }

    /// Starts the API server again, on the same data, and the controllers, and waits until they
    /// work.
    ///
    /// # Errors
    /// It runs, or they are not ready in time.
    pub fn start_apiserver(&mut self) -> Result<()> {
        self.start_apiserver_with(&[])
    }

    /// As [`ControlPlane::start_apiserver`], with arguments of its own.
    ///
    /// # Errors
    /// It runs, refuses an argument, or they are not ready in time.
    pub fn start_apiserver_with(&mut self, extra: &[&str]) -> Result<()> {
        if self.served.is_some() {
            bail!("the API server runs");
        }
        let (programs, station, pki) = (&self.programs, &self.station, &self.pki);
        let mut apiserver = components::apiserver(programs, station, pki, extra)?;
        wait_until_served(&self.api, &mut apiserver)?;
        // From an earlier time; that there is none yet is just as well.
        let _deleted = self.api.delete("v1", "ServiceAccount", "default");
        let mut controllers = components::controllers(programs, station, pki, &self.kubeconfig)?;
        wait_until_controlled(&self.api, &mut controllers)?;
        self.served = Some(Served { _controllers: controllers, _apiserver: apiserver });
        Ok(())
    }
}

/// The URL of the API server.
fn server(ip: Dual) -> String {
    format!("https://{}:{PORT}", ip.v4)
}

fn wait_until_served(api: &Api, process: &mut Process) -> Result<()> {
    wait("the API server to be ready", process, || api.is_ready())
}

/// The controller of ServiceAccounts makes one in each namespace: it is there once controllers run.
fn wait_until_controlled(api: &Api, process: &mut Process) -> Result<()> {
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    wait("the controllers to work", process, || api.get(account).is_ok())
}

fn wait(what: &str, process: &mut Process, condition: impl Fn() -> bool) -> Result<()> {
    let became = wait_for(what, READY_WITHIN, || match process.must_run() {
        Err(ended) => Some(Err(ended)),
        Ok(()) => condition().then_some(Ok(())),
    });
    became.flatten().with_context(|| format!("its last lines:\n{}", process.log_tail(20)))
}

/// A program of the control plane with arguments.
fn program(path: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments);
    command
}
