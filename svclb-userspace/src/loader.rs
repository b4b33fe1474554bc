//! Loads the kernel programs, on top of the maps that are already pinned.

use std::{collections::BTreeMap, ops::RangeInclusive, thread, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader,
    programs::{CgroupSockAddr, Program, ProgramError, ProgramInfo, SchedClassifier},
};
use svclb_common::{flow::Timeouts, layout};
use tracing::{debug, info, warn};

use crate::{
    pins::{Layout, Pins},
    plan::Limits,
};

/// The object file, as `cargo xtask build-ebpf` made it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("SVCLB_EBPF_OBJECT"));

/// Lines of the verifier's log that an error shows.
const VERIFIER_LINES: usize = 20;

/// Names of the programs in the object file.
pub mod program {
    /// Ingress of devices with an Ethernet header.
    pub const INGRESS_ETH: &str = "ingress_eth";
    /// Egress of devices with an Ethernet header.
    pub const EGRESS_ETH: &str = "egress_eth";
    /// Ingress of devices without a link-layer header.
    pub const INGRESS_IP: &str = "ingress_ip";
    /// Egress of devices without a link-layer header.
    pub const EGRESS_IP: &str = "egress_ip";
    /// Releases flows that are over; run by the agent, never attached.
    pub const SWEEP: &str = "sweep";
    /// All that handle packets of devices with an Ethernet header, and their flows.
    pub const ETHERNET: &[&str] = &[INGRESS_ETH, EGRESS_ETH, SWEEP];
    /// All that handle packets of devices without a link-layer header.
    pub const IP: &[&str] = &[INGRESS_IP, EGRESS_IP];
    /// Hooks at sockets that ask.
    pub const ASKING: &[&str] = &["connect4", "connect6", "sendmsg4", "sendmsg6"];
    /// Hooks at sockets that tell who answers.
    pub const ANSWERING: &[&str] = &["recvmsg4", "recvmsg6", "getpeername4", "getpeername6"];
}

/// Entries of the maps whose size an operator may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Frontends of one family.
    pub frontends: u32,
    /// Service ports of one family.
    pub services: u32,
    /// Slots of all services.
    pub slots: u32,
    /// Backends of all services.
    pub backends: u32,
    /// Flow records of one family; a power of two.
    pub flows: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            frontends: layout::size::FRONTENDS,
            services: layout::size::SERVICES,
            slots: layout::size::SLOTS,
            backends: layout::size::BACKENDS,
            flows: layout::size::FLOWS,
        }
    }
}

impl Sizes {
    /// The entries of each map that these sizes decide about.
    fn entries(&self) -> BTreeMap<&'static str, u32> {
        let tuples = self.flows.saturating_mul(layout::size::TUPLES_PER_FLOW);
        BTreeMap::from([
            ("frontends4", self.frontends),
            ("frontends6", self.frontends),
            ("services", self.services),
            ("svc_stats", self.services),
            ("names", self.services),
            ("slots", self.slots),
            ("backends4", self.backends),
            ("backends6", self.backends),
            ("be_stats", self.backends),
            ("flows4", self.flows),
            ("flows6", self.flows),
            ("tuples4", tuples),
            ("tuples6", tuples),
        ])
    }
}

/// What is decided when the programs are loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Sizes of maps that are not pinned yet.
    pub sizes: Sizes,
    /// After how much silence flows expire.
    pub timeouts: Timeouts,
    /// Ports that stand for clients' own.
    pub masquerade_ports: RangeInclusive<u16>,
    /// Seed of the hash that chooses backends.
    pub hash_seed: u32,
    /// The kernel's cookie of the node's network namespace, whose sockets the socket hooks serve.
    pub node_netns: u64,
    /// Whether they serve those of every other one, too.
    pub all_sockets: bool,
    /// To whose ping they answer: a value of [`svclb_common::echo`].
    pub echo: u8,
    /// Whether every client of a ClusterIP is masqueraded, not only those from outside.
    pub masquerade_all: bool,
    /// Whether TCP in mid-stream without a flow is left to the kernel, where another service proxy
    /// may have it, instead of refused.
    pub takeover: bool,
    /// Whether connections whose endpoint has vanished are reset.
    pub reset_vanished: bool,
    /// Level of the kernel programs' own log: 0 is off, 1 error, ... 5 trace.
    pub log_level: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sizes: Sizes::default(),
            timeouts: Timeouts::DEFAULT,
            masquerade_ports: 10_240..=29_999,
            hash_seed: 0,
            node_netns: 0,
            all_sockets: false,
            echo: svclb_common::echo::CLUSTER_IPS,
            masquerade_all: false,
            takeover: false,
            reset_vanished: true,
            log_level: 0,
        }
    }
}

/// The programs in the kernel. The maps are reached through [`Pins`].
#[derive(Debug)]
pub struct Loaded {
    /// All programs, loaded but for those that wait for [`Loaded::complete`].
    pub ebpf: Ebpf,
    /// How long loading took, the verifier included.
    pub took: Duration,
    /// Entries of the maps of a chosen size, as they are.
    entries: BTreeMap<&'static str, u32>,
}

/// Loads the programs, but not those for devices without a link-layer header: most nodes have none,
/// and the kernel takes as long to verify them as all the others. Maps that are pinned are used as
/// they are, the others are made and pinned.
///
/// # Errors
///
/// Fails, before anything is changed, if a pinned map has another layout than the programs; then
/// if the kernel refuses a map or a program.
pub fn load(pins: &Pins, options: &Options) -> Result<Loaded> {
    pins.create()?;
    let entries = entries(pins, &options.sizes)?;
    let flow_slots = flow_slots(&entries)?;
    let masquerade_count = u16::try_from(options.masquerade_ports.len())
        .context("there are more masquerade ports than a 16-bit number can count")?;
    let all_sockets = u8::from(options.all_sockets);
    let masquerade_all = u8::from(options.masquerade_all);
    let takeover = u8::from(options.takeover);
    let reset_vanished = u8::from(options.reset_vanished);
    let timeouts = options.timeouts.table();
    let started = std::time::Instant::now();
    let mut loader = EbpfLoader::new();
    loader
        .override_global("FLOW_SLOTS", &flow_slots, true)
        .override_global("TIMEOUTS", &timeouts, true)
        .override_global("MASQ_FIRST", options.masquerade_ports.start(), true)
        .override_global("MASQ_COUNT", &masquerade_count, true)
        .override_global("HASH_SEED", &options.hash_seed, true)
        .override_global("NODE_NETNS", &options.node_netns, true)
        .override_global("ALL_SOCKETS", &all_sockets, true)
        .override_global("ECHO", &options.echo, true)
        .override_global("MASQUERADE_ALL", &masquerade_all, true)
        .override_global("TAKEOVER", &takeover, true)
        .override_global("RESET_VANISHED", &reset_vanished, true)
        .override_global("AYA_LOG_LEVEL", &options.log_level, true);
    for name in layout::map::ALL {
        loader.map_pin_path(name, pins.map_path(name));
    }
    for (name, entries) in &entries {
        loader.map_max_entries(name, *entries);
    }
    let mut ebpf = loader.load(OBJECT).context("load the maps")?;
    verify(&mut ebpf, |name| !program::IP.contains(&name))?;
    let took = started.elapsed();
    info!(took_ms = took.as_millis(), flow_slots, "kernel programs loaded");
    Ok(Loaded { ebpf, took, entries })
}

impl Loaded {
    /// Loads the programs for devices without a link-layer header too, unless that has been done.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses one.
    pub fn complete(&mut self) -> Result<()> {
        verify(&mut self.ebpf, |_| true)
    }

    /// How much the plan may put into the maps.
    pub fn limits(&self) -> Limits {
        let least = |maps: &[&str]| {
            maps.iter().filter_map(|map| self.entries.get(map)).copied().min().unwrap_or_default()
        };
        Limits {
            services: least(&["services", "names", "svc_stats"]),
            backends: least(&["backends4", "backends6", "be_stats"]),
            slots: least(&["slots"]),
        }
    }

    /// A handle of its own to a loaded program; dropping it does not unload the program.
    ///
    /// # Errors
    ///
    /// Fails if there is no such program, or it is not loaded.
    pub fn program(&mut self, name: &str) -> Result<SchedClassifier> {
        let program = self.ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
        let program: &mut SchedClassifier =
            program.try_into().with_context(|| format!("program {name} is no classifier"))?;
        let clone = || -> Result<SchedClassifier, ProgramError> {
            let info: ProgramInfo = program.info()?;
            SchedClassifier::from_program_info(info, name.to_owned().into())
        };
        clone().with_context(|| format!("program {name}"))
    }

    /// A loaded program of a socket hook.
    ///
    /// # Errors
    ///
    /// Fails if there is no such program.
    pub fn socket_program(&mut self, name: &str) -> Result<&mut CgroupSockAddr> {
        let program = self.ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
        program.try_into().with_context(|| format!("program {name} is of no socket hook"))
    }
}

/// Loads the wanted programs that are not loaded, side by side: the verifier takes a CPU for each.
fn verify(ebpf: &mut Ebpf, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    thread::scope(|scope| {
        let load = |(name, program): (&str, &mut Program)| {
            load_program(program).map_err(shorten).with_context(|| format!("load program {name}"))
        };
        let verified: Vec<_> = ebpf
            .programs_mut()
            .filter(|(name, program)| is_wanted(name) && program.fd().is_err())
            .map(|(name, program)| {
                let name = name.to_owned();
                scope.spawn(move || load((&name, program)))
            })
            .collect();
        verified.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Loads one program of the object file.
///
/// # Errors
///
/// Fails if the kernel refuses it, or it is of a kind that svclb has no use for.
pub fn load_program(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SchedClassifier(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// The verifier's log can have a hundred thousand lines; the last ones say what it objects to.
fn shorten(error: ProgramError) -> anyhow::Error {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return error.into() };
    let log = verifier_log.to_string();
    debug!("{log}");
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(VERIFIER_LINES)..].join("\n");
    anyhow!("{io_error}; the verifier's last lines:\n{last}")
}

/// The entries of every map of a chosen size: as pinned where it is pinned.
fn entries(pins: &Pins, sizes: &Sizes) -> Result<BTreeMap<&'static str, u32>> {
    let object = aya_obj::Object::parse(OBJECT).context("parse the object file")?;
    let mut pinned = BTreeMap::new();
    for name in layout::map::ALL {
        let map = object.maps.get(*name).with_context(|| format!("no map {name} in the object"))?;
        if let Some(found) = pins.layout(name)? {
            found.check(name, Layout::of_object(map))?;
            pinned.insert(*name, found.max_entries);
        }
    }
    Ok(settle(sizes.entries(), &pinned))
}

/// Pinned sizes win. A family whose flows are not pinned yet follows the other one, because both
/// share one number of slots.
fn settle(
    mut wanted: BTreeMap<&'static str, u32>,
    pinned: &BTreeMap<&'static str, u32>,
) -> BTreeMap<&'static str, u32> {
    for pair in [["flows4", "flows6"], ["tuples4", "tuples6"]] {
        if let Some(size) = pair.iter().find_map(|name| pinned.get(name)) {
            wanted.extend(pair.map(|name| (name, *size)));
        }
    }
    for (name, entries) in &mut wanted {
        let Some(size) = pinned.get(name).filter(|size| **size != *entries) else { continue };
        warn!(map = name, pinned = size, wanted = *entries, "the pinned map keeps its size");
        *entries = *size;
    }
    wanted
}

fn flow_slots(entries: &BTreeMap<&'static str, u32>) -> Result<u32> {
    let (v4, v6) = (entries.get("flows4"), entries.get("flows6"));
    match v4 {
        Some(slots) if v4 == v6 && slots.is_power_of_two() => Ok(*slots),
        _ => bail!("flows4 and flows6 must have the same power of two of entries: {v4:?}, {v6:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_every_map_and_program() {
        let object = aya_obj::Object::parse(OBJECT).expect("an object file");
        for name in layout::map::ALL {
            assert!(object.maps.contains_key(*name), "no map {name}");
        }
        for name in [program::ETHERNET, program::IP, program::ASKING, program::ANSWERING].concat() {
            assert!(object.programs.contains_key(name), "no program {name}");
        }
        for name in Sizes::default().entries().keys() {
            assert!(layout::map::ALL.contains(name), "{name} has a size but no pin");
        }
    }

    #[test]
    fn pinned_sizes_win() {
        let pinned = BTreeMap::from([("frontends4", 7), ("addr_filter", 9)]);
        let settled = settle(Sizes::default().entries(), &pinned);
        assert_eq!(settled["frontends4"], 7);
        assert_eq!(settled["frontends6"], layout::size::FRONTENDS);
        assert!(!settled.contains_key("addr_filter"), "its size is the object's");
    }

    #[test]
    fn both_families_keep_one_number_of_slots() {
        let pinned = BTreeMap::from([("flows4", 1024), ("tuples4", 4096)]);
        let settled = settle(Sizes::default().entries(), &pinned);
        assert_eq!((settled["flows6"], settled["tuples6"]), (1024, 4096));
        assert_eq!(flow_slots(&settled).expect("same size"), 1024);
    }

    #[test]
    fn flow_slots_are_a_power_of_two() {
        assert!(flow_slots(&Sizes { flows: 1000, ..Sizes::default() }.entries()).is_err());
        assert!(flow_slots(&BTreeMap::from([("flows4", 8), ("flows6", 16)])).is_err());
    }
}
