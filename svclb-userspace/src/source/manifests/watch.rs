//! Follows the folder: a thread that waits for the file system and sends batches.

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::mpsc as batches;

use super::{allocate::InUse, arm::Watches, cluster::Cluster, ranges::Ranges, scan::Scanner};
use crate::{
    problem::Problem,
    source::{Batch, Noticed},
};

/// Changes that follow each other within this time are one.
const QUIET: Duration = Duration::from_millis(50);
/// A folder that never comes to rest is read this often.
const RESTLESS: Duration = Duration::from_millis(500);
/// How often the folder is read where the file system does not report its changes.
const POLL: Duration = Duration::from_secs(2);
/// Batches that wait for their reader.
const QUEUE: usize = 16;

/// What to follow, and what to give to Services that come without.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder. It may appear later; until then nothing is reported as listed.
    pub folder: PathBuf,
    /// Where ClusterIPs and NodePorts are taken from.
    pub ranges: Ranges,
    /// What Services have in the maps already.
    pub in_use: InUse,
}

/// A folder of manifests that is being followed, until the value is dropped.
#[derive(Debug)]
pub struct Manifests {
    batches: batches::Receiver<Noticed>,
    wake: mpsc::Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// Why the thread wakes up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wake {
    Changed,
    Stop,
}

impl Manifests {
    /// Begins to follow a folder.
    ///
    /// # Errors
    /// The system has no room for another watcher or thread.
    pub fn start(options: Options) -> io::Result<Self> {
        let (wake, wakes) = mpsc::channel();
        let (sender, batches) = batches::channel(QUEUE);
        let watcher = watcher(wake.clone()).map_err(io::Error::other)?;
        let follower = Follower {
            watches: Watches::new(watcher, options.folder.clone()),
            cluster: Cluster::new(options.ranges, options.in_use),
            folder: options.folder,
            scanner: Scanner::default(),
            complaint: None,
            wakes,
            batches: sender,
        };
        let thread =
            thread::Builder::new().name("manifests".into()).spawn(move || follower.run())?;
        Ok(Self { batches, wake, thread: Some(thread) })
    }

    /// The next batch; `None` only if the thread has died. Nothing is lost if the future is
    /// dropped.
    pub async fn next(&mut self) -> Option<Noticed> {
        self.batches.recv().await
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        // Wakes the thread wherever it waits: for room in the queue, or for a change.
        self.batches.close();
        // A thread that is gone already needs no waking, and its panic was reported by its hook.
        self.wake.send(Wake::Stop).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Wakes the thread for everything but being read, which it does itself.
fn watcher(wake: mpsc::Sender<Wake>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        let written = AccessKind::Close(AccessMode::Write);
        let is_read = |event: &Event| match event.kind {
            EventKind::Access(kind) => kind != written,
            _ => false,
        };
        if !event.as_ref().is_ok_and(is_read) {
            // The thread has gone: nobody to wake.
            wake.send(Wake::Changed).ok();
        }
    })
}

/// The thread's state.
struct Follower {
    folder: PathBuf,
    watches: Watches<RecommendedWatcher>,
    scanner: Scanner,
    cluster: Cluster,
    /// What was wrong with the folder itself, so that it is said once.
    complaint: Option<String>,
    wakes: mpsc::Receiver<Wake>,
    batches: batches::Sender<Noticed>,
}

impl Follower {
    fn run(mut self) {
        let mut noticed = Instant::now();
        loop {
            // Armed before it is read: what changes in between is reported.
            let armed = self.watches.arm();
            let batch = self.read();
            if !batch.is_empty() && self.batches.blocking_send((noticed, batch)).is_err() {
                return;
            }
            match self.wait(armed) {
                Some(at) => noticed = at,
                None => return,
            }
        }
    }

    fn read(&mut self) -> Batch {
        match self.scanner.scan(&self.folder) {
            Ok(files) => {
                self.complaint = None;
                let first = !self.cluster.is_listed();
                if files.is_empty() && !first {
                    Batch::default()
                } else {
                    self.cluster.update(files)
                }
            }
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &io::Error) -> Batch {
        let folder = self.folder.display();
        let message = format!("{folder}: {error}; what was read before stays");
        if self.complaint.as_ref() == Some(&message) {
            return Batch::default();
        }
        self.complaint = Some(message.clone());
        Batch { changes: Vec::new(), problems: vec![Problem::new("", "", message)] }
    }

    /// Waits for a change, and then until the folder is quiet. When it came; `None` to stop.
    fn wait(&self, armed: bool) -> Option<Instant> {
        let first = if armed {
            self.wakes.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.wakes.recv_timeout(POLL)
        };
        let noticed = Instant::now();
        let wake = match first {
            Ok(Wake::Changed) => self.settle(),
            Err(RecvTimeoutError::Timeout) => Wake::Changed,
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => Wake::Stop,
        };
        (wake == Wake::Changed).then_some(noticed)
    }

    fn settle(&self) -> Wake {
        let until = Instant::now() + RESTLESS;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.wakes.recv_timeout(QUIET.min(left)) {
                Ok(Wake::Changed) if !left.is_zero() => {}
                Ok(Wake::Changed) | Err(RecvTimeoutError::Timeout) => return Wake::Changed,
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Wake::Stop,
            }
        }
    }
}
