//! The thread that attaches. It takes commands in order and retries what the kernel refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use aya::maps::{HashMap, MapData, MapError};
use svclb_common::frontend::Device;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::{
    hooks::{Attached, Hooks, Mechanism, Secured},
    network::Target,
};
use crate::{loader::Loaded, metrics::Metrics, pins::Pins};

/// How long a command that failed waits for its next try.
const RETRY: Duration = Duration::from_secs(1);

/// How long nothing must have happened before filters are replaced by links, which holds up
/// everybody who changes devices: a new pod's are changed several times within this.
const QUIET: Duration = Duration::from_secs(2);

/// What the monitor wants done.
#[derive(Debug)]
pub(super) enum Command {
    /// Set or remove an entry of `devices`.
    Device(u32, Option<Device>),
    /// Attach both hooks, or see to it that they are still attached. With the time of the
    /// device's announcement, if it is new.
    Attach(Target, Option<Instant>),
    /// The device is gone.
    Detach(u32),
    /// All there is, at start: remove what earlier agents left on or for other devices.
    Retain(Inventory),
    /// Tell when all commands before this one have been tried.
    Settled(oneshot::Sender<()>),
}

/// The devices of the node.
#[derive(Debug)]
pub(super) struct Inventory {
    /// Interface indices of all of them, and 0 for the node itself.
    pub(super) indices: BTreeSet<u32>,
    /// Those that are attached to.
    pub(super) targets: Vec<Target>,
}

/// What a later command of the same key supersedes. Entries of `devices` come before hooks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Device(u32),
    Hooks(u32),
    Retain,
    Settled,
}

impl Command {
    fn key(&self) -> Key {
        match self {
            Self::Device(index, _) => Key::Device(*index),
            Self::Attach(target, _) => Key::Hooks(target.index),
            Self::Detach(index) => Key::Hooks(*index),
            Self::Retain(_) => Key::Retain,
            Self::Settled(_) => Key::Settled,
        }
    }
}

/// A handle to the thread. It ends when the handle and all monitors are dropped; programs stay
/// attached.
#[derive(Debug)]
pub struct Worker {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails if a program or the map `devices` is missing, or no thread can be made.
    pub fn start(
        loaded: Loaded,
        pins: &Pins,
        mechanism: Mechanism,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let state = State {
            hooks: Hooks::new(mechanism, pins, loaded)?,
            devices: pins.map("devices")?,
            failed: BTreeMap::new(),
            provisional: BTreeMap::new(),
            quiet: false,
            metrics,
        };
        info!(?mechanism, "attaching to devices");
        let (commands, received) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("attach".into())
            .spawn(move || state.run(&received))
            .context("start the attaching thread")?;
        Ok(Self { commands, thread })
    }

    pub(super) fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// Waits for the commands under way. To be called when no monitor is left.
    pub fn join(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            warn!("the attaching thread has panicked");
        }
    }
}

struct State {
    hooks: Hooks,
    devices: HashMap<MapData, u32, Device>,
    failed: BTreeMap<Key, Command>,
    /// Devices whose filters are to be replaced by links when nothing else is to be done.
    provisional: BTreeMap<u32, Target>,
    /// Whether that has begun, and no command has come since.
    quiet: bool,
    metrics: Arc<Metrics>,
}

impl State {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(self.patience()) {
                Ok(command) => {
                    self.quiet = false;
                    self.step(command);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.quiet = true;
                    self.make_up();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long there is nothing to do but to wait for the next command.
    fn patience(&self) -> Duration {
        match (self.provisional.is_empty(), self.failed.is_empty()) {
            (false, _) if self.quiet => Duration::ZERO,
            (false, _) => QUIET,
            (true, false) => RETRY,
            (true, true) => Duration::MAX,
        }
    }

    /// Does what has been put off: one hook, so that the next command waits for no more.
    fn make_up(&mut self) {
        let Some((index, target)) = self.provisional.pop_first() else { return self.retry() };
        match self.hooks.secure(&target) {
            Ok(Secured::All) => {}
            Ok(Secured::Part) => {
                self.provisional.insert(index, target);
            }
            Err(error) => {
                warn!(error = format!("{error:#}"), "filters stay for now");
                self.failed.insert(Key::Hooks(index), Command::Attach(target, None));
            }
        }
    }

    fn step(&mut self, command: Command) {
        self.failed.remove(&command.key());
        if let Err(error) = self.carry_out(&command) {
            warn!(error = format!("{error:#}"), "device not attended to, will retry");
            self.failed.insert(command.key(), command);
        } else if let Command::Settled(done) = command {
            // Nobody may be waiting any more.
            let _ = done.send(());
        }
    }

    fn retry(&mut self) {
        for command in std::mem::take(&mut self.failed).into_values() {
            self.step(command);
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::Device(index, Some(device)) => {
                self.devices.insert(index, device, 0).context("map devices")
            }
            Command::Device(index, None) => self.forget(*index),
            Command::Attach(target, announced) => {
                self.provisional.remove(&target.index);
                let attached = self.hooks.attach(target)?;
                if let Some(attached) = attached {
                    report(target, attached, announced.map(|at| at.elapsed()), &self.metrics);
                }
                if attached == Some(Attached::Provisional) {
                    self.provisional.insert(target.index, target.clone());
                }
                Ok(())
            }
            Command::Detach(index) => {
                debug!(ifindex = index, "device gone");
                self.provisional.remove(index);
                self.hooks.detach(*index)
            }
            Command::Retain(inventory) => self.retain(inventory),
            Command::Settled(_) => Ok(()),
        }
    }

    fn retain(&mut self, inventory: &Inventory) -> Result<()> {
        let known = self.devices.keys().collect::<Result<BTreeSet<u32>, _>>();
        for index in known.context("map devices")?.difference(&inventory.indices) {
            self.forget(*index)?;
        }
        self.hooks.retain(&inventory.targets)
    }

    fn forget(&mut self, index: u32) -> Result<()> {
        match self.devices.remove(&index) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error).context("map devices"),
        }
    }
}

/// Tells how long it took from the device's announcement until both hooks were attached.
fn report(target: &Target, attached: Attached, took: Option<Duration>, metrics: &Metrics) {
    let (name, ifindex) = (&target.name, target.index);
    match attached {
        Attached::Unchanged => {}
        Attached::Adopted => info!(name, ifindex, "device adopted"),
        Attached::New | Attached::Provisional => {
            took.inspect(|took| metrics.attached(*took));
            let micros = took.map(|took| took.as_micros());
            info!(name, ifindex, micros, "device attached");
        }
    }
}
