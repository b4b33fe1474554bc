//! The image in a real containerd, as the DaemonSet would have it run.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use svclb_tests::{
    lab::{
        Dual, Family, Lab, Manifests, Node, Preset, Process, SOON, address, binary,
        manifests::{ServicePort, node, service, slice},
        wait_for,
    },
    traffic::{
        block_on,
        http::{self, Connection},
        load::Load,
        peer::How,
        udp,
    },
};

use crate::{
    Test,
    containerd::{Container, Containerd},
    kubelet::Pod,
    kustomize, overlay,
};

pub(crate) const TESTS: &[Test] = &[
    ("the_image_runs_the_agent_by_itself", entrypoint),
    ("the_daemon_sets_container_serves_traffic", privileged),
    ("it_serves_with_the_least_privileges", least_privileged),
];

/// How long the container may take until traffic flows: it is unpacked, and loads the programs.
const SERVES_WITHIN: Duration = Duration::from_secs(60);

const NODE_PORT: u16 = 30_080;
const POD_PORT: u16 = 8080;

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
    let status = wait_for("the container to end", SERVES_WITHIN, || process.ended())?;
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
    let mut lab = Lab::new(&Preset::ROUTED)?;
    for (node, pod) in [(1, "web-1"), (2, "web-2")] {
        lab.node_mut(node).add_pod(pod, &[POD_PORT])?;
    }
    let manifests = Manifests::at(&lab.folder().join("manifests"))?;
    write(&lab, &manifests)?;
    let containerd = Containerd::start(lab.node(1))?;
    containerd.import(&image(&lab)?)?;
    let mut container = start(daemon_set, &containerd, lab.node(1), &manifests)?;
    Family::BOTH.iter().try_for_each(|family| is_served(&lab, *family, container.process()))?;
    for probe in ["readinessProbe", "livenessProbe"] {
        answers(&Pod::of(daemon_set, lab.node(1))?, probe, lab.node(1))?;
    }
    ends_when_asked(container)?;
    // The programs stay, as they would through an update of the DaemonSet.
    let load = Load::http(lab.node(1).ip.socket(Family::V4, NODE_PORT), 100);
    lab.external().netns().run(|| load.run())?.must_be_clean()
}

/// A service of a pod on each node.
fn write(lab: &Lab, manifests: &Manifests) -> Result<()> {
    let nodes: Vec<_> = lab.nodes.iter().map(node).collect();
    manifests.write("nodes", &nodes.join("---\n"))?;
    let port = |name, protocol| ServicePort {
        name,
        protocol,
        port: 80,
        target: name,
        node_port: Some(NODE_PORT),
    };
    let ports = [port("http", "TCP"), port("echo", "UDP")];
    manifests.write("service", &service("web", cluster_ip(), &ports, None))?;
    let places = [(address::pod(1, 1), "node1"), (address::pod(2, 1), "node2")];
    let ports = [("http", "TCP", POD_PORT), ("echo", "UDP", POD_PORT)];
    let slices = Family::BOTH.map(|family| slice("web", family, &places, &ports));
    manifests.write("slices", &slices.join("---\n"))
}

fn cluster_ip() -> Dual {
    Dual {
        v4: Ipv4Addr::new(10, 96, 0, 80),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x80),
    }
}

/// The DaemonSet's container, all of it as `deploy/` says, but for the source: there is no API
/// server here.
fn start<'a>(
    daemon_set: &Value,
    containerd: &'a Containerd<'_>,
    node: &'a Node,
    manifests: &Manifests,
) -> Result<Container<'a>> {
    let config = node.folder().join("config");
    fs::create_dir_all(&config).context("a folder for the configuration")?;
    let map = kustomize::object("ConfigMap")?;
    let base = map["data"]["config.yaml"].as_str().context("no config.yaml in the ConfigMap")?;
    let source = format!("{base}\nsource:\n  manifests: /manifests\n");
    fs::write(config.join("config.yaml"), source).context("the configuration")?;
    let pod = Pod::of(daemon_set, node)?.volume("config", &config);
    let (image, mut options, command) = pod.container("svclb")?;
    let folder = manifests.folder().display();
    let mount = format!("type=bind,src={folder},dst=/manifests,options=rbind:ro");
    options.extend(["--mount".to_owned(), mount]);
    containerd.run("svclb", &image, &options, &command)
}

fn is_served(lab: &Lab, family: Family, agent: &mut Process) -> Result<()> {
    let outside = lab.node(1).ip.socket(family, NODE_PORT);
    let inside = cluster_ip().socket(family, 80);
    let answered = lab.external().netns().run(|| {
        wait_for(&format!("an answer at {outside}"), SERVES_WITHIN, || match agent.must_run() {
            Err(ended) => Some(Err(ended)),
            Ok(()) => http::who(outside).ok().map(|_| Ok(())),
        })
    });
    answered.and_then(|result| result).with_context(|| agent.log_tail(20))?;
    lab.external().netns().run(|| udp::who(outside).map(drop))?;
    let pod = lab.node(1).pod("web-1")?.netns()?;
    let report = pod.run(|| Load::http(inside, 200).run())?;
    report.must_be_clean()?;
    ensure!(report.by_pod.len() == 2, "not every pod answers: {:?}", report.by_pod);
    // The node's own processes, by the control groups that the container has been given.
    How::ALL.iter().try_for_each(|how| lab.node(1).ask(*how, &[inside]).map(drop))
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
