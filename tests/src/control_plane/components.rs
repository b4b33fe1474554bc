//! The command lines of the components. Each has a machine of the lab to itself, so ports are the
//! usual ones.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::Result;

use super::{PORT, pki::Pki, program, programs::Programs, server};
use crate::lab::{Process, Station};

/// The ranges of ClusterIPs: those that the agent gives to manifests without one.
pub const SERVICE_RANGES: &str = "10.96.0.0/16,fd00:10:96::/112";

/// What the tests need of a cluster's controllers: slices and Endpoints, accounts and their
/// tokens, Deployments, and that what an object owned goes with it.
const CONTROLLERS: &str = "endpoints-controller,endpointslice-controller,\
    endpointslice-mirroring-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller,\
    namespace-controller,garbage-collector-controller,daemonset-controller,\
    deployment-controller,replicaset-controller";

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// The ClusterIP that the API server gives its own Service: the first of its range.
pub(super) fn kubernetes_service() -> IpAddr {
    Ipv4Addr::new(10, 96, 0, 1).into()
}

/// Starts etcd, with its data in the station's folder.
pub(super) fn etcd(programs: &Programs, station: &Station) -> Result<Process> {
    let data = station.folder().join("etcd");
    let arguments = [
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={ETCD_PEER}"),
        format!("--initial-advertise-peer-urls={ETCD_PEER}"),
        format!("--initial-cluster=default={ETCD_PEER}"),
        // The data need not outlive the machine, only the process.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    start(&programs.etcd, &arguments, station, "etcd")
}

/// Starts the API server, on what etcd holds, with `extra` arguments.
pub(super) fn apiserver(
    programs: &Programs,
    station: &Station,
    pki: &Pki,
    extra: &[&str],
) -> Result<Process> {
    let file = |name| pki.file(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers={ETCD}"),
        format!("--secure-port={PORT}"),
        format!("--advertise-address={}", station.ip.v4),
        format!("--service-cluster-ip-range={SERVICE_RANGES}"),
        format!("--client-ca-file={}", pki.authority().display()),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        "--authorization-mode=RBAC".to_owned(),
        // Pods are written here before the controllers have made an account.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged".to_owned(),
        "--profiling=false".to_owned(),
    ];
    arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
    start(&programs.apiserver, &arguments, station, "kube-apiserver")
}

/// Starts the controllers, against a ready API server: otherwise they ask again after ten seconds.
pub(super) fn controllers(
    programs: &Programs,
    station: &Station,
    pki: &Pki,
    kubeconfig: &Path,
) -> Result<Process> {
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--master={}", server(station.ip)),
        format!("--controllers={CONTROLLERS}"),
        format!("--root-ca-file={}", pki.authority().display()),
        format!("--service-account-private-key-file={}", pki.file("accounts.key").display()),
        "--use-service-account-credentials=true".to_owned(),
        // One process: there is nobody to agree with.
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--profiling=false".to_owned(),
    ];
    start(&programs.controller_manager, &arguments, station, "kube-controller-manager")
}

fn start(path: &Path, arguments: &[String], station: &Station, name: &str) -> Result<Process> {
    let log = station.folder().join(format!("{name}.log"));
    Process::start(program(path, arguments), station.netns(), station.cgroup(), &log)
}
