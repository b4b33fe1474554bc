//! TCX: links that are pinned as `<links>/<interface index>-<hook>`, so that the programs stay
//! while no agent runs, and the next agent replaces them in place.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use aya::{
    programs::{
        LinkOrder, SchedClassifier,
        links::{FdLink, LinkError, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
    sys::SyscallError,
};
use tracing::info;

use super::{
    hooks::{Attached, Hook},
    network::Target,
};
use crate::pins;

/// Attaches `program`, first in line at ingress and last at egress: svclb sees packets as the wire
/// brought them, and its answers pass everybody else's programs before they are changed.
pub(super) fn attach(
    program: &mut SchedClassifier,
    target: &Target,
    hook: Hook,
    links: &Path,
) -> Result<Attached> {
    let pin = pin(links, target.index, hook);
    if let Some(adopted) = adopt(program, target, hook, &pin)? {
        return Ok(adopted);
    }
    let order = match hook {
        Hook::Ingress => LinkOrder::first(),
        Hook::Egress => LinkOrder::last(),
    };
    let options = TcAttachOptions::TcxOrder(order);
    let id = program.attach_with_options(&target.name, hook.attach_type(), options)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(&pin).with_context(|| format!("pin {}", pin.display()))?;
    Ok(Attached::New)
}

/// Takes over the link of an earlier agent, if it is really on this device: the device may have
/// gone while no agent ran, and its interface index may be another's now.
fn adopt(
    program: &mut SchedClassifier,
    target: &Target,
    hook: Hook,
    pin: &Path,
) -> Result<Option<Attached>> {
    let link = match PinnedLink::from_pin(pin) {
        Ok(pinned) => FdLink::from(pinned),
        Err(LinkError::SyscallError(error)) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open {}", pin.display())),
    };
    let attached = link.info()?.program_id();
    let (_, programs) = SchedClassifier::query_tcx(&target.name, hook.attach_type())?;
    if !programs.iter().any(|program| program.id() == attached) {
        info!(name = target.name, hook = hook.name(), "a stale link is removed");
        pins::unpin(pin)?;
        return Ok(None);
    }
    if attached == program.info()?.id() {
        return Ok(Some(Attached::Unchanged));
    }
    let id = program.attach_to_link(SchedClassifierLink::try_from(link)?)?;
    // The link is the pin's; this handle is no longer needed.
    drop(program.take_link(id)?);
    Ok(Some(Attached::Adopted))
}

/// Removes the pin of a hook, if there is one. The kernel detaches the link.
pub(super) fn unpin(links: &Path, index: u32, hook: Hook) -> Result<()> {
    pins::unpin(&pin(links, index, hook))
}

/// Whether a hook of a device has a pinned link.
pub(super) fn is_pinned(links: &Path, index: u32, hook: Hook) -> bool {
    pin(links, index, hook).exists()
}

/// The interface indices that have a pinned link.
pub(super) fn pinned(links: &Path) -> Result<BTreeSet<u32>> {
    let entries = fs::read_dir(links).with_context(|| format!("read {}", links.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| index_of(&name)).collect())
}

fn pin(links: &Path, index: u32, hook: Hook) -> PathBuf {
    links.join(format!("{index}-{}", hook.name()))
}

fn index_of(pin: &str) -> Option<u32> {
    pin.split_once('-')?.0.parse().ok()
}

fn is_not_found(error: &SyscallError) -> bool {
    error.io_error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_tells_its_device() {
        let path = pin(Path::new("/links"), 7, Hook::Egress);
        assert_eq!(path, Path::new("/links/7-egress"));
        assert_eq!(index_of("7-egress"), Some(7));
        assert_eq!(index_of("foreign"), None);
    }
}
