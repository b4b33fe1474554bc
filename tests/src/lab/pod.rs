//! A pod: a namespace joined to its node, and a real server in it.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    address::{Dual, Family},
    netns::Netns,
    process::{Process, binary},
    wait::{SOON, wait_for},
};

/// What a server listens on: every port serves HTTP over TCP and echoes UDP.
pub const DEFAULT_PORTS: &[u16] = &[8080];

/// A pod, or a process in the node's own namespace that serves like one.
#[derive(Debug)]
pub struct Pod {
    /// Its name, which its replies carry.
    pub name: String,
    /// Its addresses.
    pub ip: Dual,
    /// The ports it serves.
    pub ports: Vec<u16>,
    pub(super) server: Option<Process>,
    pub(super) netns: Option<Netns>,
    /// Its number on the node.
    pub(super) index: u8,
}

impl Pod {
    /// Its own namespace.
    ///
    /// # Errors
    /// It is a process in the node's namespace.
    pub fn netns(&self) -> Result<&Netns> {
        self.netns.as_ref().with_context(|| format!("{} has no namespace of its own", self.name))
    }

    /// The address of its first port.
    pub fn socket(&self, family: Family) -> SocketAddr {
        self.ip.socket(family, self.ports.first().copied().unwrap_or_default())
    }

    /// Its server, unless it is a client only.
    pub fn server(&self) -> Option<&Process> {
        self.server.as_ref()
    }

    /// Its device's name on the node.
    pub fn device(&self) -> String {
        super::pod_link::device(self.index)
    }
}

/// Starts the server `name` in `netns`, listening at `sockets`.
pub(super) fn serve(
    name: &str,
    sockets: &[SocketAddr],
    netns: &Netns,
    cgroup: &Path,
    log: &Path,
) -> Result<Process> {
    let mut command = Command::new(binary("lab-tool", "SVCLB_LAB_TOOL", "svclb-tests")?);
    command.args(["serve", "--name", name]);
    command.args(sockets.iter().map(ToString::to_string));
    Process::start(command, netns, cgroup, log)
}

/// Waits until the server answers to connections from `from` at all of `sockets`.
pub(super) fn wait_until_served(
    server: &mut Process,
    sockets: &[SocketAddr],
    from: &Netns,
) -> Result<()> {
    from.run(|| {
        sockets.iter().try_for_each(|socket| {
            server.must_run()?;
            wait_for(&format!("a server at {socket}"), SOON, || {
                TcpStream::connect_timeout(socket, SOON).ok().map(drop)
            })
        })
    })
}

/// Every port of `ports` on both addresses.
pub(super) fn sockets(ip: Dual, ports: &[u16]) -> Vec<SocketAddr> {
    let both = |port: &u16| Family::BOTH.map(|family| ip.socket(family, *port));
    ports.iter().flat_map(both).collect()
}
