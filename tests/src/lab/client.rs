//! A client outside the cluster.

use anyhow::Result;

use super::{
    address::{self, Dual},
    netns::Netns,
    network,
    place::Place,
};

/// Where a client sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// On the nodes' own LAN.
    Lan,
    /// Behind the router.
    External,
}

/// A client: a namespace with an address of each family.
#[derive(Debug)]
pub struct Client {
    /// Its addresses.
    pub ip: Dual,
    /// Where it sits.
    pub location: Location,
    netns: Netns,
}

impl Client {
    pub(super) fn create(k: u8, location: Location, router: &Netns, place: &Place) -> Result<Self> {
        let (role, bridge, ip) = match location {
            Location::Lan => (format!("lan{k}"), network::LAN, address::lan_client(k)),
            Location::External => {
                (format!("client{k}"), network::EXTERNAL, address::external_client(k))
            }
        };
        let netns = Netns::create(&place.netns(&role))?;
        network::join(router, bridge, &role, &netns, ip)?;
        Ok(Self { ip, location, netns })
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }
}
