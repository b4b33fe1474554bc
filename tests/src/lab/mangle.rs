//! A bad network in front of a node: frames come in another order, twice, or not at all.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;

use super::{netns::Netns, network::LAN, place::Place, wire::Wire};

/// The end of the cable to the LAN.
const OUTER: &str = "lan";
/// How many frames are mixed at most.
const MIXED: usize = 64;
/// After how long a silence frames go on.
const SILENCE: Duration = Duration::from_millis(2);
/// Shorter frames are only mixed: who asks for a MAC address must not fail.
const SHORT: usize = 600;

/// What becomes of frames beside being mixed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Damage {
    /// How many of a thousand come twice.
    pub doubled: u32,
    /// How many of a thousand are lost.
    pub lost: u32,
}

/// Mixes the frames from and to a node until it is dropped.
#[derive(Debug)]
pub struct Mangler<'a> {
    router: &'a Netns,
    /// The router's end of the node's cable.
    port: String,
    netns: Netns,
    damage: Arc<Mutex<Damage>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<'a> Mangler<'a> {
    /// Cuts the cable between the node's `port` and the LAN, and joins the ends.
    pub(super) fn between(router: &'a Netns, port: &str, place: &Place) -> Result<Self> {
        let netns = Netns::create(&place.netns(&format!("mangler-{port}")))?;
        router.ip(format!(
            "link set {port} netns {inside}\n\
             link add mangled-{port} type veth peer name {OUTER} netns {inside}\n\
             link set mangled-{port} master {LAN} up\n",
            inside = netns.name()
        ))?;
        let mut mangler = Self {
            router,
            port: port.to_owned(),
            netns,
            damage: Arc::default(),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        mangler.netns.ip(format!(
            "link set {port} addrgenmode none up\n\
             link set {OUTER} addrgenmode none up\n"
        ))?;
        for (seed, from, to) in [(1, port, OUTER), (2, OUTER, port)] {
            mangler.forward(seed, from, to)?;
        }
        Ok(mangler)
    }

    /// What becomes of frames from now on.
    pub fn damage(&self, damage: Damage) {
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = damage;
    }

    fn forward(&mut self, seed: u64, from: &str, to: &str) -> Result<()> {
        let mut way = Way {
            from: Wire::open(&self.netns, from)?.with_offloads()?.after_silence_of(SILENCE)?,
            to: Wire::open(&self.netns, to)?.with_offloads()?,
            damage: self.damage.clone(),
            random: fastrand::Rng::with_seed(seed),
        };
        let stop = self.stop.clone();
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                way.pass();
            }
        }));
        Ok(())
    }
}

impl Drop for Mangler<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic has been printed.
            let _ = thread.join();
        }
        let (port, router) = (&self.port, self.router);
        let back = self.netns.ip(format!("link set {port} netns {}", router.name()));
        let joined = back.and_then(|()| {
            router.ip(format!("link del mangled-{port}\nlink set {port} master {LAN} up\n"))
        });
        if let Err(error) = joined {
            eprintln!("{port} is not on the LAN again: {error:#}");
        }
    }
}

/// One direction.
struct Way {
    from: Wire,
    to: Wire,
    damage: Arc<Mutex<Damage>>,
    random: fastrand::Rng,
}

impl Way {
    /// Takes frames until there is a pause, and sends them on.
    fn pass(&mut self) {
        let mut frames = Vec::new();
        while let (true, Ok(Some(frame))) = (frames.len() < MIXED, self.from.next()) {
            frames.push(frame);
        }
        self.random.shuffle(&mut frames);
        let damage = *self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in &frames {
            for _ in 0..self.times(damage, frame) {
                // One that the device refuses is lost, as in any network.
                let _ = self.to.send(frame);
            }
        }
    }

    /// How often a frame arrives.
    fn times(&mut self, damage: Damage, frame: &[u8]) -> u32 {
        let chance = self.random.u32(0..1_000);
        match frame.len() {
            0..SHORT => 1,
            _ if chance < damage.lost => 0,
            _ if chance < damage.lost + damage.doubled => 2,
            _ => 1,
        }
    }
}
