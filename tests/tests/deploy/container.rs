//! The image in a real containerd, as the DaemonSet would have it run.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use svclb_tests::{
    lab::{Family, Lab, Node, Preset, SOON, binary, wait_for},
    traffic::{block_on, http::Connection, load::Load},
};

use crate::{
    Test,
    cluster::NAMESPACE,
    containerd::{Container, Containerd},
    kubelet::Pod,
    kustomize, overlay,
    world::{NODE_PORT, SERVED_WITHIN, World},
};

pub(crate) const TESTS: &[Test] = &[
    ("the_image_runs_the_agent_by_itself", entrypoint),
    ("the_daemon_sets_container_serves_traffic", privileged),
    ("it_serves_with_the_least_privileges", least_privileged),
];

/// The image of the agent that was built for the tests; its name is that of `deploy/`.
fn image(lab: &Lab) -> Result<PathBuf> {
    let xtask = binary("xtask", "SVCLB_XTASK", "xtask")?;
    let svclb = binary("svclb", "SVCLB_BIN", "svclb-userspace")?;
    let archive = lab.folder().join("svclb-image.tar");
    let mut make = Command::new(xtask);
    make.args(["image", "--binary"]).arg(svclb).arg("--output").arg(&archive);
    let output = make.output().context("cargo xtask image")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(archive)
}

fn entrypoint() -> Result<()> {
    let lab = Lab::new(&Preset { nodes: 1, ..Preset::ROUTED })?;
    let containerd = Containerd::start(lab.node(1))?;
    containerd.import(&image(&lab)?)?;
    let image = concat!("localhost/svclb:", env!("CARGO_PKG_VERSION"));
    let mut container = containerd.run("usage", image, &[], &[])?;
    let process = container.process();
    let status = wait_for("the container to end", SERVED_WITHIN, || process.ended())?;
    let log = process.log_tail(30);
    ensure!(status.code() == Some(2) && log.contains("Usage: svclb"), "{status}: {log}");
    Ok(())
}

fn privileged() -> Result<()> {
    serves(&kustomize::object("DaemonSet")?)
}

fn least_privileged() -> Result<()> {
    serves(&overlay::least_privilege()?)
}

fn serves(daemon_set: &Value) -> Result<()> {
    let world = World::new()?;
    let node = world.lab.node(1);
    let containerd = Containerd::start(node)?;
    containerd.import(&image(&world.lab)?)?;
    let pod = pod(daemon_set, &world)?;
    let (image, options, command) = pod.container("svclb")?;
    let mut container = containerd.run("svclb", &image, &options, &command)?;
    world.is_served(container.process())?;
    let log = container.process().log_tail(usize::MAX);
    ensure!(log.contains("another API server"), "the dead one was not asked: {log}");
    for probe in ["readinessProbe", "livenessProbe"] {
        answers(&pod, probe, node)?;
    }
    ends_when_asked(container)?;
    // The programs stay, as they would through an update of the DaemonSet.
    let load = Load::http(node.ip.socket(Family::V4, NODE_PORT), 100);
    world.lab.external().netns().run(|| load.run())?.must_be_clean()
}

/// The DaemonSet's pod on node 1, all of it as `deploy/` says, but for what its users must add: where
/// the API servers are. The first one named is dead.
fn pod<'a>(daemon_set: &Value, world: &'a World) -> Result<Pod<'a>> {
    let node = world.lab.node(1);
    let map = kustomize::object("ConfigMap")?;
    let base = map["data"]["config.yaml"].as_str().context("no config.yaml in the ConfigMap")?;
    let alive = world.cluster.server();
    let dead = alive.replace(":6443", ":1");
    let config = format!("{base}\nsource:\n  apiServers: {dead},{alive}\n");
    let config = folder(node, "config", &[("config.yaml", config)])?;
    let authority = fs::read_to_string(world.cluster.authority()).context("the authority")?;
    let account =
        [("token", world.token()?), ("ca.crt", authority), ("namespace", NAMESPACE.to_owned())];
    let account = folder(node, "account", &account)?;
    let kubernetes = world.cluster.api().get("/api/v1/namespaces/default/services/kubernetes")?;
    let service = kubernetes["spec"]["clusterIP"].as_str().context("no clusterIP")?;
    Ok(Pod::of(daemon_set, node)?.volume("config", &config).account(&account, service))
}

/// A folder of a node with these files.
fn folder(node: &Node, name: &str, files: &[(&str, String)]) -> Result<PathBuf> {
    let folder = node.folder().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for (name, text) in files {
        fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    Ok(folder)
}

/// What a kubelet asks gets the answer that all is well.
fn answers(pod: &Pod<'_>, probe: &str, node: &Node) -> Result<()> {
    let (port, path) = pod.probe("svclb", probe)?;
    let ask = async {
        let to = node.ip.socket(Family::V4, port);
        Connection::open(to, None).await?.get(&path, "kubelet").await.map(drop)
    };
    node.netns().run(|| block_on(ask)).with_context(|| format!("{probe}: {path} at {port}"))
}

fn ends_when_asked(mut container: Container<'_>) -> Result<()> {
    let process = container.process();
    let pid = nix::unistd::Pid::from_raw(process.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).context("SIGTERM")?;
    let status = wait_for("the container to end", SOON, || process.ended())?;
    ensure!(status.success(), "{status}: {}", process.log_tail(10));
    Ok(())
}
