//! Endpoints that come and go under load.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use svclb_tests::{
    lab::{self, Family, SOON, wait_for},
    traffic::{
        load::{Load, Running},
        report::Report,
    },
};

use crate::{
    kernel::Kernel,
    manifests,
    screen::Screen,
    stage::Stage,
    traffic::address::{self, DNS, GATEWAY, SHOP},
};

/// How often one endpoint goes and comes back.
const ROUNDS: usize = 20;

/// Requests on each connection of the load.
const REQUESTS: u32 = 10;

/// New connections a second of each load: enough to notice, not so much that the load measures
/// itself.
const RATE: u32 = 100;

/// The file of the service whose endpoints change.
const FILE: &str = "shop";

/// The endpoints of a service.
type Endpoints = BTreeSet<SocketAddr>;

/// Changes the endpoints of `shop` while clients ask it and the other services; prints how long the
/// data plane took, and what became of the requests. Returns how many failed.
///
/// # Errors
/// A change does not reach the kernel, or the lab fails.
pub(crate) fn run(screen: &Screen, stage: &mut Stage) -> Result<u64> {
    screen.heading("Endpoints go and come under load: how long until both nodes' kernels use them");
    let loads = loads(stage)?;
    let changed = Changes::new(stage)?.all(screen, stage);
    screen.line("meanwhile:");
    let mut failed = 0;
    for (what, load) in loads {
        let report = load.stop()?;
        failed += report.failures();
        screen.line(row(what, &report));
        report.errors.iter().for_each(|(error, n)| screen.line(format_args!("  {n} x {error}")));
    }
    changed?;
    Ok(failed)
}

fn loads(stage: &Stage) -> Result<[(&'static str, Running); 4]> {
    let (pod, outside) = (stage.client_pod()?, stage.lab.external().netns());
    let http = |dst| Load { rate: Some(RATE), ..Load::until_stopped(dst, REQUESTS) };
    let [shop4, shop6] = Family::BOTH.map(|family| address::socket(SHOP, family, 80));
    let dns = Load { udp: true, ..http(address::socket(DNS, Family::V4, 53)?) };
    let gateway = stage.lab.node(1).ip.socket(Family::V4, GATEWAY);
    Ok([
        ("HTTP, pod -> shop, IPv4", http(shop4?).start(pod)?),
        ("HTTP, pod -> shop, IPv6", http(shop6?).start(pod)?),
        ("UDP,  pod -> dns", dns.start(pod)?),
        ("HTTP, client outside -> gateway", http(gateway).start(outside)?),
    ])
}

fn row(what: &str, report: &Report) -> String {
    let (answered, failed) = (report.answered, report.failures());
    let [median, p99] = [report.latency.p50_us, report.latency.p99_us]
        .map(|us| milliseconds(Duration::from_micros(us)));
    format!("  {what:<32} {answered:>6} answers, median {median}, p99 {p99:<8} {failed} failed")
}

/// Both nodes' kernels, and the file as it was.
struct Changes {
    kernels: Vec<Kernel>,
    file: String,
    endpoints: Endpoints,
}

impl Changes {
    fn new(stage: &Stage) -> Result<Self> {
        let open = |node: &lab::Node| Kernel::open(node.bpffs(), "shop", "http");
        let kernels = stage.lab.nodes.iter().map(open).collect::<Result<Vec<_>>>()?;
        let path = stage.manifests.folder().join(format!("{FILE}.yaml"));
        let file = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let endpoints = kernels.first().context("no node")?.endpoints()?;
        Ok(Self { kernels, file, endpoints })
    }

    /// The changes one after the other.
    fn all(mut self, screen: &Screen, stage: &mut Stage) -> Result<()> {
        self.delete(screen, stage)?;
        self.bear(screen, stage)?;
        self.flap(screen, stage)
    }

    /// A Pod is deleted. Its process ends once its last connection has.
    fn delete(&mut self, screen: &Screen, stage: &mut Stage) -> Result<()> {
        let pod = stage.lab.node(2).pod("shop-4")?;
        let (addresses, sockets) = (Family::BOTH.map(|f| pod.ip.ip(f)), sockets(pod));
        self.file = manifests::without(&self.file, "shop-4");
        self.endpoints.retain(|endpoint| !sockets.contains(endpoint));
        let took = self.apply(stage, &self.file, &self.endpoints)?;
        for kernel in &self.kernels {
            let none = || kernel.open_flows(addresses).map(|open| (open == 0).then_some(()));
            wait_for("the last connections to end", SOON, || none().transpose())??;
        }
        stage.lab.node_mut(2).remove_pod("shop-4");
        screen.line(format_args!(
            "- shop-4 deleted: {}; it ends when its last connection has",
            milliseconds(took)
        ));
        Ok(())
    }

    /// A Pod is born.
    fn bear(&mut self, screen: &Screen, stage: &mut Stage) -> Result<()> {
        let pod = stage.lab.node_mut(2).add_pod("shop-5", &[8080])?;
        self.endpoints.extend(sockets(pod));
        let document = lab::manifests::pod(pod, "node2", "shop").replace("name: http", "name: web");
        self.file = format!("{}---\n{document}", self.file);
        let took = self.apply(stage, &self.file, &self.endpoints)?;
        screen.line(format_args!("+ shop-5 born: {}", milliseconds(took)));
        Ok(())
    }

    /// One endpoint becomes unready and ready again, many times.
    fn flap(&self, screen: &Screen, stage: &Stage) -> Result<()> {
        let sockets = sockets(stage.lab.node(1).pod("shop-1")?);
        let fewer = self.endpoints.iter().filter(|endpoint| !sockets.contains(endpoint));
        let (fewer, unready) = (fewer.copied().collect(), manifests::unready(&self.file, "shop-1"));
        let mut taken = Vec::new();
        for _ in 0..ROUNDS {
            taken.push(self.apply(stage, &unready, &fewer)?);
            taken.push(self.apply(stage, &self.file, &self.endpoints)?);
        }
        taken.sort_unstable();
        screen.line(format_args!(
            "* shop-1 unready and ready again, {ROUNDS} times: median {}, longest {}",
            milliseconds(taken[taken.len() / 2]),
            milliseconds(taken[taken.len() - 1])
        ));
        Ok(())
    }

    /// Writes the file; how long until both kernels choose from exactly these endpoints.
    fn apply(&self, stage: &Stage, file: &str, expected: &Endpoints) -> Result<Duration> {
        let start = Instant::now();
        stage.manifests.write(FILE, file)?;
        for kernel in &self.kernels {
            while kernel.endpoints()? != *expected {
                ensure!(start.elapsed() < SOON, "the kernel's endpoints are not {expected:?}");
                // Finer than the lab waits: this is a measurement.
                thread::park_timeout(Duration::from_micros(200));
            }
        }
        Ok(start.elapsed())
    }
}

fn sockets(pod: &lab::Pod) -> [SocketAddr; 2] {
    Family::BOTH.map(|family| pod.socket(family))
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
