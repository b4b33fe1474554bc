//! The cluster of the bench, and its stages in their order.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use svclb::pins::Pins;
use svclb_tests::{
    control_plane::{ControlPlane, Programs},
    lab::{Agent, Lab, Node, Preset, SOON, logged, manifests, wait_for},
    machine,
    memory::{Resident, of_maps},
};

use super::{
    changes::{Expected, Taken, drive},
    cluster::{self, Change},
    cost::Meter,
    measured::{Row, Samples, mebibytes, share},
    objects::{self, Endpoints, Size},
    pinned::{Pinned, Written},
};

/// Pods that change, each alone in a Service.
const PODS: u32 = 20;
/// Changes of Pods a second: the controller may write 20 slices a second.
const POD_RATE: u32 = 10;

/// A control plane, and a node with svclb.
pub(super) struct World {
    size: Size,
    endpoints: Endpoints,
    agent: Option<Agent>,
    cluster: ControlPlane,
    pins: Pins,
    // Last: what the others run in.
    lab: Lab,
}

impl World {
    /// A cluster without Services.
    pub(super) fn build(programs: Programs, size: Size) -> Result<Self> {
        let lab = Lab::new(&Preset { nodes: 1, ..Preset::ROUTED })?;
        let cluster = ControlPlane::start(&lab, programs).context("control plane")?;
        cluster.api().apply(&manifests::node(lab.node(1)))?;
        let pins = Pins::on(lab.node(1).bpffs())?;
        Ok(Self { size, endpoints: Endpoints::new(size), agent: None, cluster, pins, lab })
    }

    /// What the figures depend on.
    pub(super) fn machine() -> Result<impl Display> {
        let (processors, kernel) = (machine::processors()?, machine::kernel()?);
        Ok(Row("machine", format!("{processors}, Linux {kernel}")))
    }

    /// Creates the Services and their slices.
    pub(super) fn fill(&self) -> Result<impl Display> {
        let began = Instant::now();
        cluster::fill(self.cluster.api(), self.size, &self.endpoints)?;
        let (Size { services, endpoints }, taken) = (self.size, began.elapsed().as_secs_f64());
        let text = format!("{services} services x {endpoints} endpoints, written in {taken:.1} s");
        Ok(Row("cluster", text))
    }

    /// Starts the agent without anything in the kernel.
    pub(super) fn start(&mut self) -> Result<impl Display> {
        let taken = self.launch()?;
        Ok(Row("start", self.started(taken)?))
    }

    /// What agent and maps hold of memory now.
    pub(super) fn memory(&self) -> Result<impl Display> {
        let pid = self.agent.as_ref().context("no agent runs")?.id();
        let Resident { all, own, most } = Resident::of(pid)?;
        let (flows, others) = of_maps(&self.pins)?;
        let [all, own, most, flows, others] = [all, own, most, flows, others].map(mebibytes);
        let text = format!(
            "{all} resident, {own} of them its own; {most} at most; maps: {flows} for flows, \
             {others} for all else"
        );
        Ok(Row("memory", text))
    }

    /// What the agent takes while nothing changes.
    pub(super) fn idle(&self, time: Duration) -> Result<impl Display> {
        let (used, time) = Meter::during(self.node().cgroup(), time)?;
        Ok(Row("idle", share(used, time)))
    }

    /// Replaces endpoints at a rate.
    pub(super) fn change_endpoints(&mut self, rate: u32, seconds: u32) -> Result<impl Display> {
        let ids = Written::read(&self.pins)?.ids();
        let mut endpoints = self.endpoints.clone();
        let change = move |_| {
            let (service, address) = endpoints.replace();
            let name = objects::name(service);
            let id = *ids.get(&name).with_context(|| format!("{name} is not served"))?;
            let change = Change::Slice(Box::new(endpoints.slice(service)?));
            Ok(Expected { change, service: id, address, serves: true })
        };
        let changes = (0..rate * seconds).map(change);
        let log = self.node().agent_log(usize::MAX).len();
        let meter = Meter::start(self.node().cgroup())?;
        let taken = drive(self.cluster.api(), Pinned::open(&self.pins)?, rate, changes)?;
        let (used, time) = meter.stop()?;
        self.endpoints.replace_many(rate * seconds);
        self.must_be_right()?;
        let text = format!("{rate} a second: {}", share(used, time));
        let head = Row("changes", text);
        Ok(format!("{head}\n{}\n{}", latencies(&taken), Row("  agent", self.own_part(log))))
    }

    /// Changes Pods; the controller writes their slices.
    pub(super) fn change_pods(&mut self, number: u32) -> Result<impl Display> {
        cluster::add_pods(self.cluster.api(), PODS, &self.node().name)?;
        let pinned = Pinned::open(&self.pins)?;
        let ids = self.pods_served(&pinned)?;
        let change = move |n: u32| {
            let (pod, ready) = (n % PODS, n / PODS % 2 == 1);
            let (change, address) = (Change::Pod(pod, ready), objects::pod_address(pod));
            Ok(Expected { change, service: ids[pod as usize], address, serves: ready })
        };
        let changes = (0..number).map(change);
        let taken = drive(self.cluster.api(), pinned, POD_RATE, changes)?;
        let head = Row("pods", format!("{POD_RATE} a second, their slices from the controller"));
        Ok(format!("{head}\n{}", latencies(&taken)))
    }

    /// Kills the agent and starts the next one on what it has left.
    pub(super) fn restart(&mut self) -> Result<impl Display> {
        let before = Written::read(&self.pins)?;
        self.agent.take().context("no agent runs")?.kill()?;
        let taken = self.launch()?;
        let changed = before.differences(&Written::read(&self.pins)?);
        Ok(Row("restart", format!("{}, {changed} entries changed", self.started(taken)?)))
    }

    fn node(&self) -> &Node {
        self.lab.node(1)
    }

    /// Starts the agent; how long it took until it said that it is ready.
    fn launch(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.agent = Some(Agent::follow_cluster(self.node(), self.cluster.kubeconfig(), &[])?);
        Ok(began.elapsed())
    }

    fn started(&self, taken: Duration) -> Result<String> {
        let right = self.must_be_right()?;
        let (seconds, operations) = (taken.as_secs_f64(), self.node().adoption()?);
        Ok(format!("{seconds:.2} s until ready with {right} services: {operations} operations"))
    }

    /// Fails unless every Service has its endpoints in the maps; how many there are.
    fn must_be_right(&self) -> Result<usize> {
        let wanted = (0..self.size.services).map(|i| (objects::name(i), self.endpoints.of(i)));
        let right = Written::read(&self.pins)?.right(wanted);
        let all = self.size.services as usize;
        ensure!(right == all, "{right} of {all} services are right in the maps");
        Ok(right)
    }

    /// The service ids of the Pods' Services, once the Pods are their endpoints.
    fn pods_served(&self, pinned: &Pinned) -> Result<Vec<u32>> {
        wait_for("the Pods to be endpoints", SOON, || {
            let ids = Written::read(&self.pins).ok()?.ids();
            let served = |i| {
                let id = *ids.get(&objects::pod_name(i))?;
                pinned.serves(id, objects::pod_address(i)).ok()?.then_some(id)
            };
            (0..PODS).map(served).collect()
        })
    }

    /// How long the agent says that it took from the arrival of changes to the last write, in its
    /// log from an offset on.
    fn own_part(&self, from: usize) -> Samples {
        let log = self.node().agent_log(usize::MAX);
        let lines = log.get(from..).unwrap_or_default().lines();
        let lines = lines.filter(|line| line.contains(" services updated "));
        lines.filter_map(|line| logged(line, "micros")).map(Duration::from_micros).collect()
    }
}

fn latencies(taken: &Taken) -> String {
    let head = Row("  latency", format!("{:>12}{:>12}{:>12}  (of)", "half", "99 %", "longest"));
    let Taken { answered, written } = taken;
    format!("{head}\n{}\n{}", Row("  answer", answered), Row("  map", written))
}
