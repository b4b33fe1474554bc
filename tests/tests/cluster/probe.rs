//! When traffic is what it must be after a change.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use svclb_tests::{
    lab::{Netns, SOON},
    traffic::{block_on, http::Connection, udp},
};
use tokio::time::timeout;

use crate::world::World;

/// How long traffic may be wrong after a change. (Some ten milliseconds are usual; on a machine that
/// is busy with something else, it takes longer.)
const WITHIN: Duration = Duration::from_secs(3);

/// How long one question may take; a packet that was dropped is asked again by a new connection.
const IMPATIENCE: Duration = Duration::from_millis(100);

/// How many questions in a row nobody else may answer, for each endpoint: one endpoint too many
/// stays unseen once in some millions of runs.
const CLEAN: usize = 16;

/// How many questions in a row must stay without an answer.
const SILENT: usize = 3;

/// How often the API is asked what it says of a Service.
const OFTEN: Duration = Duration::from_millis(10);

/// A change of a Service or its pods that was made, and when.
pub(crate) struct Change {
    what: &'static str,
    service: &'static str,
    at: Instant,
    /// When the API's slices followed; known once somebody has waited for it.
    told: OnceLock<Instant>,
}

impl Change {
    /// Makes a change of the API; it counts from the API server's last answer.
    pub(crate) fn make<T>(
        what: &'static str,
        service: &'static str,
        f: impl FnOnce() -> Result<T>,
    ) -> Result<(Self, T)> {
        let made = f().context(what)?;
        Ok((Self { what, service, at: Instant::now(), told: OnceLock::new() }, made))
    }

    /// Asks each target over HTTP and UDP until `pods`, all of them, answer and nobody else does;
    /// with no pods, until nobody does. Prints how long that took, and fails if svclb has taken
    /// too long: from the change, or from the time that the API's slices follow it where the
    /// cluster's controllers have come later (they wait a second after a conflict).
    pub(crate) fn is_right(
        &self,
        world: &World,
        netns: &Netns,
        targets: &[SocketAddr],
        pods: &[String],
    ) -> Result<()> {
        let took = self.settles(world, netns, targets, pods)?;
        ensure!(took <= WITHIN, "{}: traffic was right only after {took:?}", self.what);
        Ok(())
    }

    /// As [`Change::is_right`], however long it takes; how long svclb took.
    pub(crate) fn settles(
        &self,
        world: &World,
        netns: &Netns,
        targets: &[SocketAddr],
        pods: &[String],
    ) -> Result<Duration> {
        let both = |target: &SocketAddr| [(*target, false), (*target, true)];
        let all = targets.iter().flat_map(both);
        let mut probes: Vec<_> =
            all.map(|(target, udp)| Probe::new(target, udp, pods, self.at)).collect();
        let done = &AtomicBool::new(false);
        let told = thread::scope(|scope| {
            let told = scope.spawn(|| *self.told.get_or_init(|| self.told_at(world, pods, done)));
            let asked = netns.run(|| until_settled(&mut probes)).context(self.what);
            done.store(true, Ordering::Relaxed);
            let told = told.join().map_err(|_| anyhow!("asking the API panicked"))?;
            asked.map(|()| told)
        })?;
        let right = probes.iter().map(|probe| probe.right_at).max().unwrap_or(self.at);
        let took = right.saturating_duration_since(told);
        println!(
            "{}: right after {} ms, {} ms after the API said so",
            self.what,
            (right - self.at).as_millis(),
            took.as_millis()
        );
        Ok(took)
    }

    /// When the API's slices had these pods; the time of the change if they did not before `done`.
    fn told_at(&self, world: &World, pods: &[String], done: &AtomicBool) -> Instant {
        let expected: BTreeSet<&str> = pods.iter().map(String::as_str).collect();
        while !done.load(Ordering::Relaxed) {
            match world.endpoints(self.service) {
                Ok(names) if names.iter().map(String::as_str).eq(expected.iter().copied()) => {
                    return Instant::now();
                }
                _ => thread::park_timeout(OFTEN),
            }
        }
        self.at
    }
}

/// One frontend, and what its answers were so far.
struct Probe<'a> {
    target: SocketAddr,
    udp: bool,
    pods: &'a [String],
    missing: BTreeSet<&'a str>,
    /// Right answers in a row.
    clean: usize,
    /// When the last answer came that changed what is known: a wrong one, or a pod's first.
    right_at: Instant,
    /// The last wrong answer, for a failure's report.
    wrong: String,
}

impl<'a> Probe<'a> {
    fn new(target: SocketAddr, udp: bool, pods: &'a [String], at: Instant) -> Self {
        let missing = pods.iter().map(String::as_str).collect();
        Self { target, udp, pods, missing, clean: 0, right_at: at, wrong: "none".to_owned() }
    }

    fn ask(&mut self) {
        let answer = if self.udp { who_udp(self.target) } else { who_http(self.target) };
        let right = match &answer {
            Ok(name) => self.pods.contains(name),
            Err(_) => self.pods.is_empty(),
        };
        let first = answer.as_ref().is_ok_and(|name| self.missing.remove(name.as_str()));
        self.clean += 1;
        if !right {
            (self.clean, self.wrong) = (0, format!("{answer:?}"));
            self.missing = self.pods.iter().map(String::as_str).collect();
        }
        if first || !right {
            self.right_at = Instant::now();
        }
    }

    fn is_settled(&self) -> bool {
        let needed = if self.pods.is_empty() { SILENT } else { CLEAN * (self.pods.len() + 1) };
        self.missing.is_empty() && self.clean >= needed
    }
}

/// Asks all in turn, so that each is asked soon after the change.
fn until_settled(probes: &mut [Probe<'_>]) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while let Some(open) = probes.iter().find(|probe| !probe.is_settled()) {
        ensure!(
            Instant::now() < deadline,
            "{} (UDP: {}): {:?} not seen, last wrong answer: {}",
            open.target,
            open.udp,
            open.missing,
            open.wrong
        );
        probes.iter_mut().filter(|probe| !probe.is_settled()).for_each(Probe::ask);
    }
    Ok(())
}

/// Who answers on a new connection.
fn who_http(target: SocketAddr) -> Result<String> {
    let ask = async { Connection::open(target, None).await?.who().await };
    Ok(block_on(async { timeout(IMPATIENCE, ask).await.context("no answer in time")? })?.name)
}

/// Who answers at a new socket.
fn who_udp(target: SocketAddr) -> Result<String> {
    udp::Client::new(target, None)?.waiting(IMPATIENCE).ask(udp::SMALLEST)
}
