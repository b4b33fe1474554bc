//! The clients: threads of this process in the namespaces of pods and of machines outside, each
//! with one kind of traffic in one family.

mod errors;
mod stream;
mod udp;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};

use super::{
    message::Message,
    pods::{self, Pods},
    tally::{Failure, Kind, Tally, Whose},
};
use crate::lab::{Family, Netns};

/// How long an answer may take: a lost segment is sent again after one, three and seven seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Service that a client asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Its number.
    pub(super) service: u16,
    /// A frontend of its.
    pub(super) at: SocketAddr,
    /// The same where no endpoint listens, by UDP.
    pub(super) closed: SocketAddr,
}

/// What the clients of a soak share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What they count.
    pub(super) tally: Arc<Tally>,
    /// Who may answer.
    pub(super) pods: Pods,
    stop: AtomicBool,
    next: AtomicU32,
}

impl Shared {
    /// Nobody has asked yet.
    pub(super) fn new(tally: Arc<Tally>, pods: Pods) -> Arc<Self> {
        Arc::new(Self { tally, pods, stop: AtomicBool::new(false), next: AtomicU32::new(1) })
    }

    /// Lets clients come to their end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether clients should come to their end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// What it does.
    pub(super) kind: Kind,
    /// From where it asks, in words.
    pub(super) place: &'static str,
    /// How it asks.
    pub(super) family: Family,
    /// Whom it asks, one after the other.
    pub(super) targets: Vec<Target>,
    /// A Service without endpoints.
    pub(super) nobody: SocketAddr,
    /// What it shares with the others.
    pub(super) shared: Arc<Shared>,
}

impl Client {
    /// Starts it in `netns`, until it is told to stop.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub(super) fn start(self, netns: &Netns) -> Result<JoinHandle<()>> {
        netns.run(|| Ok(thread::spawn(move || self.run())))
    }

    fn run(self) {
        let mut pace = Pace::new(self.a_second());
        for target in self.targets.iter().cycle() {
            if self.shared.is_stopped() {
                return;
            }
            match self.kind {
                Kind::Tcp => stream::brief(&self, target),
                Kind::Long => stream::lasting(&self, target),
                Kind::Udp => udp::small(&self, target),
                Kind::Fragments => udp::large(&self, target),
                Kind::Errors => errors::all(&self, target),
            }
            pace.wait();
        }
    }

    /// How many connections, sockets or rounds it begins in a second, at most.
    fn a_second(&self) -> u32 {
        match self.kind {
            Kind::Tcp | Kind::Udp => 25,
            Kind::Fragments => 10,
            Kind::Long | Kind::Errors => 2,
        }
    }

    fn converse(&self, target: &Target) -> Conversation<'_> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        Conversation { client: self, service: target.service, number, pod: None, sequence: 0 }
    }
}

/// A connection or a socket with all that was asked and answered there.
struct Conversation<'a> {
    client: &'a Client,
    service: u16,
    number: u32,
    /// Who answers.
    pod: Option<u16>,
    sequence: u64,
}

impl Conversation<'_> {
    /// The next question.
    fn question(&mut self, size: u32) -> Message {
        let sequence = self.sequence;
        self.sequence += 1;
        let Self { client, service, number, .. } = *self;
        client.shared.tally.asked(client.kind, client.family);
        Message { pod: None, service, client: number, sequence, size }
    }

    /// Takes the answer to a question.
    ///
    /// # Errors
    /// It is that of another, or of somebody who may not answer.
    fn take(&mut self, question: &Message, answer: &Message) -> Result<()> {
        let pod = answer.pod.ok_or_else(|| anyhow!("a question came back: {answer:?}"))?;
        ensure!(question.answered_by(pod) == *answer, "asked {question:?}, got {answer:?}");
        let serves = self.client.shared.pods.may_serve(pod, self.service);
        ensure!(serves, "pod {pod} does not serve service {}", self.service);
        let moved = self.pod.is_some_and(|before| before != pod);
        ensure!(!moved || self.whose() == Whose::Churned, "pod {pod} took over: {answer:?}");
        self.pod = Some(pod);
        self.client.shared.tally.answered(self.client.kind, self.client.family);
        Ok(())
    }

    /// It has failed that way.
    fn failed(&self, how: Failure, what: &str) {
        let Client { kind, place, family, shared, .. } = self.client;
        shared.tally.failed(*kind, *family, (self.whose(), how), &format!("{place}: {what}"));
    }

    fn whose(&self) -> Whose {
        match self.pod {
            None => Whose::Unknown,
            Some(pod) if pods::is_churned(pod) => Whose::Churned,
            Some(_) => Whose::Stayed,
        }
    }
}

/// So many turns a second, at most; what is late is not made up for.
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    fn new(a_second: u32) -> Self {
        let interval = Duration::from_secs(1) / a_second;
        Self { interval, next: Instant::now() + interval }
    }

    fn wait(&mut self) {
        while let Some(left) = self.next.checked_duration_since(Instant::now()) {
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        self.next = (self.next + self.interval).max(Instant::now());
    }
}
