//! The lab as a whole.

use std::{mem, path::Path};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use super::{
    address::Dual,
    client::{Client, Location},
    mangle::Mangler,
    netns::Netns,
    network,
    node::Node,
    place::Place,
    preset::Preset,
    station::Station,
};

/// A running lab. Dropping it ends its processes and removes everything.
#[derive(Debug)]
pub struct Lab {
    /// What it was built from.
    pub preset: Preset,
    /// Its nodes, by number from 1 on.
    pub nodes: Vec<Node>,
    /// A client behind the router, and one on the nodes' LAN.
    pub clients: [Client; 2],
    router: Netns,
    // Last: what the others left behind goes with it.
    place: Place,
}

impl Lab {
    /// Builds a lab under a name that no other has, after the leftovers of crashed runs are gone.
    ///
    /// # Errors
    /// This process is not root, a program is missing, or the kernel refuses something.
    pub fn new(preset: &Preset) -> Result<Self> {
        must_be_root()?;
        Self::build(preset, Place::unique()?)
    }

    /// Builds a lab whose namespaces are `svclb-<tag>-node1`, ...; one that was kept under this tag
    /// is removed first. The tag is a word without a dash.
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn named(tag: &str, preset: &Preset) -> Result<Self> {
        must_be_root()?;
        Self::build(preset, Place::named(tag)?)
    }

    /// Removes a lab that was kept under this tag, if there is one.
    ///
    /// # Errors
    /// Something of it cannot be removed.
    pub fn remove(tag: &str) -> Result<()> {
        must_be_root()?;
        Place::named(tag).map(drop)
    }

    fn build(preset: &Preset, place: Place) -> Result<Self> {
        let router = network::router(&place.netns("router"))?;
        let nodes = (1..=preset.nodes)
            .map(|n| Node::create(n, &router, &place, preset))
            .collect::<Result<_>>()?;
        let client = |location| Client::create(1, location, &router, &place);
        let clients = [client(Location::External)?, client(Location::Lan)?];
        Ok(Self { preset: *preset, nodes, clients, router, place })
    }

    /// Node `n`, from 1 on.
    ///
    /// # Panics
    /// If the preset has fewer nodes.
    pub fn node(&self, n: u8) -> &Node {
        &self.nodes[usize::from(n) - 1]
    }

    /// Node `n`, from 1 on, to change.
    ///
    /// # Panics
    /// If the preset has fewer nodes.
    pub fn node_mut(&mut self, n: u8) -> &mut Node {
        &mut self.nodes[usize::from(n) - 1]
    }

    /// The client behind the router.
    pub fn external(&self) -> &Client {
        &self.clients[0]
    }

    /// The client on the nodes' LAN.
    pub fn on_lan(&self) -> &Client {
        &self.clients[1]
    }

    /// The router between nodes and external clients, which is also the nodes' switch.
    pub fn router(&self) -> &Netns {
        &self.router
    }

    /// Adds a machine to the nodes' LAN. Drop it before the lab.
    ///
    /// # Errors
    /// The kernel refuses something, or the role is taken.
    pub fn add_station(&self, role: &str, ip: Dual) -> Result<Station> {
        Station::create(role, ip, &self.router, &self.place)
    }

    /// Mixes the frames between node `n` and the LAN. Drop it before the lab.
    ///
    /// # Errors
    /// The kernel refuses something.
    ///
    /// # Panics
    /// If the preset has fewer nodes.
    pub fn mangle(&self, n: u8) -> Result<Mangler<'_>> {
        Mangler::between(&self.router, &self.node(n).name, &self.place)
    }

    /// The lab's folder.
    pub fn folder(&self) -> &Path {
        self.place.folder()
    }

    /// Leaves everything running when this process ends.
    pub fn keep(self) {
        mem::forget(self);
    }
}

/// Fails with one clear message unless this process is root's.
///
/// # Errors
/// It is not.
pub fn must_be_root() -> Result<()> {
    if !geteuid().is_root() {
        bail!("the lab makes network namespaces: run it as root");
    }
    Ok(())
}
