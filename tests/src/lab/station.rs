//! A further machine on the nodes' LAN, without svclb.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{address::Dual, netns::Netns, network, place::Place, pod, process::Process};

/// A machine: a namespace with an address of each family, a folder and a cgroup.
#[derive(Debug)]
pub struct Station {
    /// Its addresses.
    pub ip: Dual,
    netns: Netns,
    folder: PathBuf,
    cgroup: PathBuf,
}

impl Station {
    pub(super) fn create(role: &str, ip: Dual, router: &Netns, place: &Place) -> Result<Self> {
        let netns = Netns::create(&place.netns(role))?;
        network::join(router, network::LAN, role, &netns, ip)?;
        Ok(Self { ip, netns, folder: place.subfolder(role)?, cgroup: place.cgroup(role)? })
    }

    /// Starts a server that answers with `name` at `sockets`, addresses that the machine has, and
    /// waits until it does.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn serve(&self, name: &str, sockets: &[SocketAddr]) -> Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let mut server = pod::serve(name, sockets, &self.netns, &self.cgroup, &log)?;
        pod::wait_until_served(&mut server, sockets, &self.netns)?;
        Ok(server)
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its folder, which goes with the lab.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its cgroup, whose processes end with the lab.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }
}
