//! Changes at a rate, and the time until the kernel has each.
//!
//! Writes begin by the clock, whether earlier ones are done or not, so a slow answer delays nothing
//! but itself. A thread looks for each change in the pinned maps, until it is there.

use std::{
    net::Ipv4Addr,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use kube::Client;
use svclb_tests::control_plane::Api;
use tokio::{task::JoinSet, time::interval};

use super::{cluster::Change, measured::Samples, pinned::Pinned};

/// How often the maps are looked at while a change is awaited.
const LOOK: Duration = Duration::from_micros(100);

/// How long a change may take.
const LATEST: Duration = Duration::from_secs(20);

/// A change, and by what it is known in the maps.
#[derive(Debug)]
pub(super) struct Expected {
    /// What is written.
    pub(super) change: Change,
    /// The service that it changes.
    pub(super) service: u32,
    /// The address that it changes.
    pub(super) address: Ipv4Addr,
    /// Whether new flows may go there then.
    pub(super) serves: bool,
}

/// What became of the changes.
#[derive(Debug)]
pub(super) struct Taken {
    /// From the request to the API server's answer.
    pub(super) answered: Samples,
    /// From the request to the maps.
    pub(super) written: Samples,
}

/// Writes the changes, `rate` a second, and waits until the maps have all of them.
///
/// # Errors
/// The API server refuses one, or the maps do not have it in time.
pub(super) fn drive(
    api: &Api,
    pinned: Pinned,
    rate: u32,
    changes: impl Iterator<Item = Result<Expected>> + Send + 'static,
) -> Result<Taken> {
    let (awaited, receiver) = channel();
    let watcher = thread::spawn(move || watch(&pinned, &receiver));
    let answered = api.with_client(|client| write(client, rate, changes, awaited));
    // What the API server refuses never comes to the maps: its error is the cause.
    let written = join(watcher);
    Ok(Taken { answered: answered?, written: written? })
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("the thread that watches the maps has panicked"))?
}

async fn write(
    client: Client,
    rate: u32,
    changes: impl Iterator<Item = Result<Expected>>,
    awaited: Sender<Awaited>,
) -> Result<Samples> {
    let mut clock = interval(Duration::from_secs(1) / rate);
    let mut writers = JoinSet::new();
    for expected in changes {
        let Expected { change, service, address, serves } = expected?;
        clock.tick().await;
        let client = client.clone();
        let begun = Instant::now();
        if awaited.send(Awaited { begun, service, address, serves }).is_err() {
            // The thread that watches has failed, and says why.
            break;
        }
        writers.spawn(async move { change.write(&client).await.map(|()| begun.elapsed()) });
    }
    let mut answered = Samples::default();
    while let Some(done) = writers.join_next().await {
        answered.add(done.context("a writer")??);
    }
    Ok(answered)
}

/// A change under way.
struct Awaited {
    begun: Instant,
    service: u32,
    address: Ipv4Addr,
    serves: bool,
}

impl Awaited {
    /// Whether the maps have it.
    fn is_there(&self, pinned: &Pinned) -> Result<bool> {
        let Self { begun, service, address, serves } = *self;
        let late = begun.elapsed();
        ensure!(late < LATEST, "service {service}: {address} is not as written after {late:?}");
        Ok(pinned.serves(service, address)? == serves)
    }
}

/// Looks for each change until it is there, and until no more come.
fn watch(pinned: &Pinned, changes: &Receiver<Awaited>) -> Result<Samples> {
    let (mut pending, mut written) = (Vec::new(), Samples::default());
    loop {
        if pending.is_empty() {
            let Ok(next) = changes.recv() else { return Ok(written) };
            pending.push(next);
        }
        pending.extend(changes.try_iter());
        let mut left = Vec::with_capacity(pending.len());
        for change in pending {
            if change.is_there(pinned)? {
                written.add(change.begun.elapsed());
            } else {
                left.push(change);
            }
        }
        pending = left;
        thread::park_timeout(LOOK);
    }
}
