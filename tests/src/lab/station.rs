//! A further machine on the nodes' LAN, without svclb.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{address::Dual, netns::Netns, network, place::Place};

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
