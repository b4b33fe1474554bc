//! Where the sockets are that svclb translates.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::Path,
    thread,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use tracing::debug;

use crate::sock_diag::SockDiag;

/// Where container runtimes and `ip netns` keep network namespaces by name.
const NAMES: &str = "/run/netns";

/// Network namespaces whose sockets are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Places {
    /// The agent's own, which is the node's.
    Own,
    /// Those below `/run/netns`, too.
    Named,
}

impl Places {
    /// Calls `visit` in each. One that cannot be entered, or whose sockets cannot be seen, keeps no
    /// other from being visited.
    ///
    /// # Errors
    ///
    /// Fails if the agent's own cannot be visited.
    pub(super) fn visit(self, mut visit: impl FnMut(&SockDiag) -> Result<()> + Send) -> Result<()> {
        let own = SockDiag::open().and_then(|diag| visit(&diag));
        if self == Self::Named {
            // A thread of its own: it does not come back from where it goes.
            thread::scope(|scope| {
                let visitor = scope.spawn(|| visit_named(&mut visit));
                visitor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .context(NAMES)?;
        }
        own
    }
}

fn visit_named(visit: &mut impl FnMut(&SockDiag) -> Result<()>) -> Result<()> {
    let names = match fs::read_dir(NAMES) {
        Ok(names) => names,
        // No pod has one yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names {
        let path = name?.path();
        // It may go at any time, and its sockets with it.
        if let Err(error) = enter(&path).and_then(|diag| visit(&diag)) {
            debug!(error = format!("{error:#}"), netns = %path.display(), "sockets not looked at");
        }
    }
    Ok(())
}

/// Moves the calling thread to a network namespace.
fn enter(path: &Path) -> Result<SockDiag> {
    let netns = File::open(path).context("open")?;
    setns(netns, CloneFlags::CLONE_NEWNET).context("enter")?;
    SockDiag::open()
}
