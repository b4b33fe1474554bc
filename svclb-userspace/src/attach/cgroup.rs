//! The socket hooks: links at a control group, pinned as `<links>/socket-<program>`, so that they
//! stay while no agent runs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use aya::programs::{CgroupAttachMode, CgroupSockAddr, links::FdLink};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::cgroup_root::{cgroup_root, check_cgroup, is_machines};
use crate::{
    loader::{Loaded, program},
    pins::{Pins, unpin},
};

/// Whose sockets are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketHooks {
    /// Those in the node's own network namespace: what runs there has no other way to Services.
    #[default]
    Host,
    /// Those of pods, too: their packets need no rewriting then.
    All,
    /// Nobody's.
    Off,
}

/// How to serve sockets.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// Whose.
    pub hooks: SocketHooks,
    /// The control group whose processes are served; all processes if `None`.
    pub cgroup: Option<PathBuf>,
}

/// Attaches the socket hooks in place of an earlier agent's, or takes those away, as it is asked
/// for. Where control groups are not to be had, svclb goes on without, and says so.
///
/// # Errors
///
/// Fails if the control group that is asked for is none.
pub fn serve_sockets(loaded: &mut Loaded, pins: &Pins, options: &Options) -> Result<()> {
    if options.hooks == SocketHooks::Off {
        return detach(&pins.links());
    }
    if let Some(folder) = &options.cgroup {
        check_cgroup(folder).context("control group of the socket hooks")?;
    }
    let root = options.cgroup.clone().map_or_else(cgroup_root, Ok);
    let attached = root.map_err(anyhow::Error::from).and_then(|root| {
        attach(loaded, &pins.links(), &root)?;
        Ok(root)
    });
    match attached {
        Ok(root) => report(&root, options),
        Err(error) => warn!(
            error = format!("{error:#}"),
            "no socket hooks: processes in the node's own network namespace do not reach Services"
        ),
    }
    Ok(())
}

fn report(root: &Path, options: &Options) {
    let cgroup = root.display();
    if options.cgroup.is_none() && !is_machines(root) {
        warn!(%cgroup, "socket hooks serve only this control group: the machine's is not mounted");
    } else {
        info!(%cgroup, hooks = ?options.hooks, "socket hooks attached");
    }
}

/// Attaches all hooks: those that answer first, since a socket that is translated needs them.
fn attach(loaded: &mut Loaded, links: &Path, root: &Path) -> Result<()> {
    let folder = File::open(root).with_context(|| format!("open {}", root.display()))?;
    for name in program::ANSWERING.iter().chain(program::ASKING) {
        let program = loaded.socket_program(name)?;
        replace(program, &folder, &pin(links, name))
            .with_context(|| format!("socket hook {name} at {}", root.display()))?;
    }
    Ok(())
}

/// Attaches a program and gives its link the pin of an earlier agent's, whose program then goes.
///
/// An update of the old link would be one step, but leave it at the control group where it is,
/// which may be another one. Until the old link goes, calls meet both programs: the second finds
/// nothing to do, since the first has named a backend or a frontend already.
fn replace(program: &mut CgroupSockAddr, cgroup: &File, pin: &Path) -> Result<()> {
    let next = next(pin);
    // Of an agent that was stopped right here.
    unpin(&next)?;
    // With a link, programs of others may always be there as well.
    let id = program.attach(cgroup, CgroupAttachMode::Single)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(&next).with_context(|| format!("pin {}", next.display()))?;
    fs::rename(&next, pin).with_context(|| format!("rename {}", next.display()))
}

/// Takes the hooks away: those that ask first.
fn detach(links: &Path) -> Result<()> {
    program::ASKING.iter().chain(program::ANSWERING).try_for_each(|name| {
        let pin = pin(links, name);
        unpin(&pin).and_then(|()| unpin(&next(&pin)))
    })
}

/// Where a link is pinned before it takes the place of another.
fn next(pin: &Path) -> PathBuf {
    let mut path = pin.as_os_str().to_owned();
    path.push("-next");
    path.into()
}

fn pin(links: &Path, program: &str) -> PathBuf {
    links.join(format!("socket-{program}"))
}
