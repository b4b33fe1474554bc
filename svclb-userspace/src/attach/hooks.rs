//! The two hooks of a device, and the two ways to attach to them.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result};
use aya::programs::{SchedClassifier, TcAttachType};
use clap::ValueEnum;
use nix::net::if_::if_nametoindex;
use serde::{Deserialize, Serialize};

use super::{clsact, network::Target, tcx};
use crate::{
    loader::{Loaded, program},
    pins::Pins,
};

/// A hook of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hook {
    /// Where packets leave.
    Egress,
    /// Where packets arrive.
    Ingress,
}

impl Hook {
    /// In the order of attachment: a packet that ingress has rewritten needs egress.
    pub(super) const ALL: [Self; 2] = [Self::Egress, Self::Ingress];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    pub(super) fn attach_type(self) -> TcAttachType {
        match self {
            Self::Egress => TcAttachType::Egress,
            Self::Ingress => TcAttachType::Ingress,
        }
    }
}

/// How programs are attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// TCX links (Linux 6.6 and later), pinned.
    Tcx,
    /// Filters of the clsact queueing discipline.
    Clsact,
}

impl Mechanism {
    /// The best that this kernel has.
    pub fn detect() -> Self {
        // Kernels without TCX do not know the attach type.
        match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
            Ok(_) => Self::Tcx,
            Err(_) => Self::Clsact,
        }
    }
}

/// What attaching came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Attached {
    /// The program was there already.
    Unchanged,
    /// An earlier agent's program was replaced, without a gap.
    Adopted,
    /// Nothing of ours was there.
    New,
    /// As `New`, by filters that [`Hooks::secure`] should replace by links.
    Provisional,
}

/// How far [`Hooks::secure`] has come with a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Secured {
    /// There is more to do.
    Part,
    /// The device has links, or is gone.
    All,
}

/// The programs for one kind of device.
#[derive(Debug)]
struct Pair {
    ingress: SchedClassifier,
    egress: SchedClassifier,
}

impl Pair {
    fn of(loaded: &mut Loaded, ingress: &str, egress: &str) -> Result<Self> {
        Ok(Self { ingress: loaded.program(ingress)?, egress: loaded.program(egress)? })
    }
}

/// The programs for all devices.
#[derive(Debug)]
struct Programs {
    loaded: Loaded,
    ethernet: Pair,
    /// Of devices without a link-layer header, from the first one on.
    ip: Option<Pair>,
}

impl Programs {
    fn new(mut loaded: Loaded) -> Result<Self> {
        let ethernet = Pair::of(&mut loaded, program::INGRESS_ETH, program::EGRESS_ETH)?;
        Ok(Self { loaded, ethernet, ip: None })
    }

    fn of(&mut self, target: &Target, hook: Hook) -> Result<&mut SchedClassifier> {
        let pair = if target.ethernet { &mut self.ethernet } else { self.ip()? };
        Ok(match hook {
            Hook::Ingress => &mut pair.ingress,
            Hook::Egress => &mut pair.egress,
        })
    }

    fn ip(&mut self) -> Result<&mut Pair> {
        let Self { loaded, ip, .. } = self;
        match ip {
            Some(pair) => Ok(pair),
            none => {
                loaded.complete()?;
                Ok(none.insert(Pair::of(loaded, program::INGRESS_IP, program::EGRESS_IP)?))
            }
        }
    }
}

/// Attaches programs to devices.
#[derive(Debug)]
pub(super) struct Hooks {
    mechanism: Mechanism,
    links: PathBuf,
    programs: Programs,
}

impl Hooks {
    /// Of these programs.
    ///
    /// # Errors
    /// A program is missing.
    pub(super) fn new(mechanism: Mechanism, pins: &Pins, loaded: Loaded) -> Result<Self> {
        Ok(Self { mechanism, links: pins.links(), programs: Programs::new(loaded)? })
    }

    /// Attaches both hooks of a device, or finds them attached. `None` if the device is gone or
    /// has another name by now; then netlink has announced that, too.
    ///
    /// A TCX link takes an RCU grace period to make, ten milliseconds or more, and a device has two;
    /// a filter takes a few hundred microseconds. So a device that is new to TCX has filters first.
    /// Packets that meet both are changed once, as those that pass several devices.
    pub(super) fn attach(&mut self, target: &Target) -> Result<Option<Attached>> {
        let is_new = self.mechanism == Mechanism::Tcx && !self.has_links(target.index);
        if is_new && self.attach_both(target, Mechanism::Clsact).is_ok() {
            return Ok(is_there(target).then_some(Attached::Provisional));
        }
        self.attach_for_good(target)
    }

    /// Puts a link in the place of a provisional filter: of the first hook that has none.
    pub(super) fn secure(&mut self, target: &Target) -> Result<Secured> {
        for hook in Hook::ALL {
            if !tcx::is_pinned(&self.links, target.index, hook) && is_there(target) {
                self.attach_hook(target, hook, Mechanism::Tcx)?;
                return Ok(Secured::Part);
            }
        }
        if self.attach_for_good(target)?.is_some() {
            clsact::detach(&target.name);
        }
        Ok(Secured::All)
    }

    fn attach_for_good(&mut self, target: &Target) -> Result<Option<Attached>> {
        match self.attach_both(target, self.mechanism) {
            Ok(attached) if is_there(target) => Ok(Some(attached)),
            // The name was another device's meanwhile.
            Ok(_) => self.detach(target.index).map(|()| None),
            Err(_) if !is_there(target) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn attach_both(&mut self, target: &Target, mechanism: Mechanism) -> Result<Attached> {
        let mut result = Attached::Unchanged;
        for hook in Hook::ALL {
            result = result.max(self.attach_hook(target, hook, mechanism)?);
        }
        Ok(result)
    }

    fn attach_hook(&mut self, target: &Target, hook: Hook, by: Mechanism) -> Result<Attached> {
        let program = self.programs.of(target, hook)?;
        let attached = match by {
            Mechanism::Tcx => tcx::attach(program, target, hook, &self.links),
            Mechanism::Clsact => clsact::attach(program, target, hook),
        };
        attached.with_context(|| format!("{} hook of {}", hook.name(), target.name))
    }

    fn has_links(&self, index: u32) -> bool {
        Hook::ALL.iter().all(|hook| tcx::is_pinned(&self.links, index, *hook))
    }

    /// Forgets a device that is gone from this network namespace. Its clsact filters went with
    /// it; a TCX link is held by its pin, and may be on a device that has moved elsewhere.
    pub(super) fn detach(&self, index: u32) -> Result<()> {
        Hook::ALL.iter().try_for_each(|hook| tcx::unpin(&self.links, index, *hook))
    }

    /// Takes away what earlier agents left: links of devices that are not in `targets`, and on
    /// those that are, what the other mechanism has attached.
    pub(super) fn retain(&self, targets: &[Target]) -> Result<()> {
        let keep: BTreeSet<u32> = match self.mechanism {
            Mechanism::Tcx => targets.iter().map(|target| target.index).collect(),
            Mechanism::Clsact => BTreeSet::new(),
        };
        for index in tcx::pinned(&self.links)?.difference(&keep) {
            self.detach(*index)?;
        }
        for target in targets.iter().filter(|target| self.has_links(target.index)) {
            clsact::detach(&target.name);
        }
        Ok(())
    }
}

/// Takes svclb's clsact filters off all devices of this network namespace. (TCX links go with
/// their pins, see [`Pins::remove`].)
///
/// # Errors
///
/// Fails if the devices cannot be listed.
pub fn detach_all() -> Result<()> {
    let devices = nix::net::if_::if_nameindex().context("list the devices")?;
    for device in &devices {
        clsact::detach(&device.name().to_string_lossy());
    }
    Ok(())
}

/// Whether the device still has the name that it was announced with. aya attaches by name.
fn is_there(target: &Target) -> bool {
    if_nametoindex(target.name.as_str()) == Ok(target.index)
}
