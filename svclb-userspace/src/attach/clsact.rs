//! clsact: filters where the kernel has no TCX, and until TCX is in place. They cannot be pinned;
//! they stay with the device, and go when it moves to another network namespace.
//!
//! A filter of ours is known by its handle, which is svclb's own, at a fixed priority. So it is
//! found again, replaced in place, and never doubled; filters of others are never touched.

use std::io;

use anyhow::{Context, Result};
use aya::{
    programs::{
        ProgramError, SchedClassifier,
        links::Link,
        tc::{
            NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
        },
    },
    sys::NetlinkError,
};
use nix::errno::Errno;
use tracing::warn;

use super::{
    hooks::{Attached, Hook},
    network::Target,
};

/// The letters "svlb".
const HANDLE: TcHandle = TcHandle::new(0x7376, 0x6c62);

/// First in line at ingress, last at egress.
fn priority(hook: Hook) -> u16 {
    match hook {
        Hook::Ingress => 1,
        Hook::Egress => u16::MAX,
    }
}

pub(super) fn attach(
    program: &mut SchedClassifier,
    target: &Target,
    hook: Hook,
) -> Result<Attached> {
    add_qdisc(&target.name)?;
    let options = NlOptions { priority: priority(hook), handle: HANDLE, classid: None };
    let created = program.attach_with_options(
        &target.name,
        hook.attach_type(),
        TcAttachOptions::Netlink(options),
    );
    let (id, attached) = match created {
        Ok(id) => (id, Attached::New),
        Err(error) if errno(&error) == Some(Errno::EEXIST) => {
            (program.attach_to_link(filter(&target.name, hook)?)?, Attached::Adopted)
        }
        Err(error) => return Err(error.into()),
    };
    // aya takes a filter off when its handle is dropped, and this one is to outlive the agent.
    std::mem::forget(program.take_link(id)?);
    Ok(attached)
}

/// Takes both filters of a device away, if they are there.
pub(super) fn detach(name: &str) {
    for hook in Hook::ALL {
        let Ok(filter) = filter(name, hook) else { continue };
        match filter.detach() {
            Ok(()) => {}
            Err(error) if is_absent(errno(&error)) => {}
            Err(error) => warn!(name, hook = hook.name(), %error, "filter not removed"),
        }
    }
}

fn filter(name: &str, hook: Hook) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(name, hook.attach_type(), priority(hook), HANDLE, None)
}

fn add_qdisc(name: &str) -> Result<()> {
    match qdisc_add_clsact(name) {
        Err(TcError::NetlinkError(error)) if os_error(&error) == Some(Errno::EEXIST) => Ok(()),
        result => result.context("add the clsact queueing discipline"),
    }
}

fn errno(error: &ProgramError) -> Option<Errno> {
    match error {
        ProgramError::NetlinkError(error) | ProgramError::TcError(TcError::NetlinkError(error)) => {
            os_error(error)
        }
        _ => None,
    }
}

fn os_error(error: &NetlinkError) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// No filter, no queueing discipline, or no device any more.
fn is_absent(errno: Option<Errno>) -> bool {
    matches!(errno, Some(Errno::ENOENT | Errno::EINVAL | Errno::ENODEV))
}
