//! What rtnetlink has told about the node, and what svclb concludes from it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use svclb_common::{
    address::{Address as _, V4, V6},
    frontend::{Device, device_flags},
};

use crate::plan::operation::Family;

/// What a device's packets begin with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header: tun, wireguard, ipip, sit, gre.
    Ip,
    /// The loopback device, which is left alone.
    Loopback,
    /// Something that svclb cannot parse; an `ARPHRD_*` number.
    Other(u16),
}

/// A network device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// Interface index.
    pub(super) index: u32,
    /// Name.
    pub(super) name: String,
    /// What its packets begin with.
    pub(super) layer: Layer,
    /// Interface index of the bridge that it is a port of; 0 if none.
    pub(super) bridge: u32,
}

/// An address of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// The node's own end.
    pub(super) ip: IpAddr,
    /// Valid beyond the link.
    pub(super) global: bool,
    /// Fit to be a source: neither secondary, deprecated, temporary, nor still being probed.
    pub(super) source: bool,
}

/// A route to everywhere in the main table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DefaultRoute {
    /// Metric; the lowest wins.
    pub(super) metric: u32,
    /// Interface index of the first next hop.
    pub(super) index: u32,
    /// Address family.
    pub(super) family: Family,
}

/// Something that rtnetlink announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A device is there, or has changed.
    Link(Link),
    /// A device is gone, or has moved to another network namespace.
    LinkGone(u32),
    /// A device has an address, or the address has changed.
    Address(u32, Address),
    /// A device has lost an address.
    AddressGone(u32, IpAddr),
    /// There is a default route.
    Route(DefaultRoute),
    /// A default route is gone.
    RouteGone(DefaultRoute),
}

/// A device to attach to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Interface index.
    pub(super) index: u32,
    /// Name at the time of the announcement.
    pub(super) name: String,
    /// Whether its packets begin with an Ethernet header.
    pub(super) ethernet: bool,
}

/// The node's network as announced so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Network {
    links: BTreeMap<u32, Link>,
    /// In the order of announcement, which is the kernel's own order.
    addresses: BTreeMap<u32, Vec<Address>>,
    routes: BTreeSet<DefaultRoute>,
}

/// Key of `devices` for the node itself: what a device without an address masquerades with.
pub(super) const NODE: u32 = 0;

impl Network {
    /// Follows one announcement.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Link(link) => {
                self.links.insert(link.index, link);
            }
            Event::LinkGone(index) => {
                self.links.remove(&index);
                self.addresses.remove(&index);
                self.routes.retain(|route| route.index != index);
            }
            Event::Address(index, address) => {
                let addresses = self.addresses.entry(index).or_default();
                match addresses.iter_mut().find(|known| known.ip == address.ip) {
                    Some(known) => *known = address,
                    None => addresses.push(address),
                }
            }
            Event::AddressGone(index, ip) => {
                if let Some(addresses) = self.addresses.get_mut(&index) {
                    addresses.retain(|address| address.ip != ip);
                }
            }
            Event::Route(route) => {
                self.routes.insert(route);
            }
            Event::RouteGone(route) => {
                self.routes.remove(&route);
            }
        }
    }

    /// Interface indices of all devices.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        self.links.keys().copied()
    }

    /// How to attach to a device; `None` if it is unknown or not to be attached to.
    pub(super) fn target(&self, index: u32) -> Option<Target> {
        let link = self.links.get(&index)?;
        let ethernet = match link.layer {
            Layer::Ethernet => true,
            Layer::Ip => false,
            Layer::Loopback | Layer::Other(_) => return None,
        };
        Some(Target { index, name: link.name.clone(), ethernet })
    }

    /// The value of `devices` for an interface index or [`NODE`]; `None` if there is no such device.
    /// Devices for pods are those whose names begin with `pods`.
    pub(super) fn device(&self, index: u32, pods: Option<&str>) -> Option<Device> {
        if index == NODE {
            let masquerade = |family| self.node_source(family);
            return Some(device(0, 0, masquerade(Family::V4), masquerade(Family::V6)));
        }
        let link = self.links.get(&index)?;
        let masquerade = |family| self.source_of(index, family);
        let is_pods = pods.is_some_and(|prefix| link.name.starts_with(prefix));
        let flags = if is_pods { device_flags::POD } else { 0 };
        Some(device(link.bridge, flags, masquerade(Family::V4), masquerade(Family::V6)))
    }

    /// All addresses at which the node is reached from elsewhere: neither loopback nor link-local.
    pub(super) fn node_addresses(&self) -> BTreeSet<IpAddr> {
        let all = self.addresses.values().flatten();
        all.map(|address| address.ip).filter(|ip| is_node_address(*ip)).collect()
    }

    /// The first address of a device that may be a source.
    fn source_of(&self, index: u32, family: Family) -> Option<IpAddr> {
        let candidates = self.addresses.get(&index)?;
        let fits = |a: &&Address| a.global && a.source && Family::of(a.ip) == family;
        candidates.iter().find(fits).map(|address| address.ip)
    }

    /// The source of the device with the best default route, else of the first device that has one.
    fn node_source(&self, family: Family) -> Option<IpAddr> {
        let routed = self.routes.iter().filter(|route| route.family == family);
        let by_route = routed.map(|route| route.index);
        let others = self.addresses.keys().copied();
        by_route.chain(others).find_map(|index| self.source_of(index, family))
    }
}

/// Whether clients elsewhere can ask for `ip`.
pub(super) fn is_node_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

fn device(bridge: u32, flags: u32, v4: Option<IpAddr>, v6: Option<IpAddr>) -> Device {
    Device {
        bridge,
        masq4: v4.and_then(V4::from_ip).unwrap_or_default(),
        masq6: v6.and_then(V6::from_ip).unwrap_or_default(),
        flags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn link(index: u32, layer: Layer) -> Event {
        Event::Link(Link { index, name: format!("dev{index}"), layer, bridge: 0 })
    }

    fn address(index: u32, text: &str) -> Event {
        Event::Address(index, Address { ip: ip(text), global: true, source: true })
    }

    fn network(events: impl IntoIterator<Item = Event>) -> Network {
        let mut network = Network::default();
        events.into_iter().for_each(|event| network.apply(event));
        network
    }

    fn masq4(network: &Network, index: u32) -> String {
        network.device(index, None).expect("device").masq4.to_ip().to_string()
    }

    #[test]
    fn every_device_that_carries_ip_is_a_target_but_loopback() {
        let network = network([
            link(1, Layer::Loopback),
            link(2, Layer::Ethernet),
            link(3, Layer::Ip),
            link(4, Layer::Other(280)),
        ]);
        let kinds: Vec<_> = (1..=5).map(|i| network.target(i).map(|t| t.ethernet)).collect();
        assert_eq!(kinds, [None, Some(true), Some(false), None, None]);
    }

    #[test]
    fn a_device_for_pods_is_known_by_its_name() {
        let mut network = network([link(2, Layer::Ethernet), link(13, Layer::Ip)]);
        let flags =
            |network: &Network, index, pods| network.device(index, pods).expect("device").flags;
        assert_eq!(flags(&network, 13, Some("dev1")), device_flags::POD);
        assert_eq!(flags(&network, 2, Some("dev1")), 0);
        assert_eq!(flags(&network, 13, None), 0);
        assert_eq!(flags(&network, NODE, Some("")), 0, "the node is no pod");
        let (index, name) = (13, "eth0".to_owned());
        network.apply(Event::Link(Link { index, name, layer: Layer::Ip, bridge: 0 }));
        assert_eq!(flags(&network, 13, Some("dev1")), 0, "it has another name now");
    }

    #[test]
    fn masquerade_takes_the_first_address_that_may_be_a_source() {
        let secondary = Address { ip: ip("192.0.2.1"), global: true, source: false };
        let local = Address { ip: ip("169.254.0.1"), global: false, source: true };
        let network = network([
            link(2, Layer::Ethernet),
            Event::Address(2, secondary),
            Event::Address(2, local),
            address(2, "192.0.2.2"),
            address(2, "192.0.2.3"),
        ]);
        assert_eq!(masq4(&network, 2), "192.0.2.2");
    }

    #[test]
    fn an_address_that_becomes_deprecated_is_no_source_any_more() {
        let mut network = network([link(2, Layer::Ethernet), address(2, "192.0.2.2")]);
        let deprecated = Address { ip: ip("192.0.2.2"), global: true, source: false };
        network.apply(Event::Address(2, deprecated));
        assert_eq!(masq4(&network, 2), "0.0.0.0");
        assert_eq!(network.node_addresses(), BTreeSet::from([ip("192.0.2.2")]));
    }

    #[test]
    fn the_node_stands_behind_its_best_default_route() {
        let route = |metric, index| DefaultRoute { metric, index, family: Family::V4 };
        let mut network = network([
            link(2, Layer::Ethernet),
            link(3, Layer::Ethernet),
            address(2, "192.0.2.2"),
            address(3, "198.51.100.3"),
        ]);
        assert_eq!(masq4(&network, NODE), "192.0.2.2", "no route: the first device");
        network.apply(Event::Route(route(200, 2)));
        network.apply(Event::Route(route(100, 3)));
        assert_eq!(masq4(&network, NODE), "198.51.100.3");
        network.apply(Event::RouteGone(route(100, 3)));
        assert_eq!(masq4(&network, NODE), "192.0.2.2");
    }

    #[test]
    fn a_device_that_goes_takes_its_addresses_and_routes_along() {
        let route = DefaultRoute { metric: 0, index: 2, family: Family::V4 };
        let mut network =
            network([link(2, Layer::Ethernet), address(2, "192.0.2.2"), Event::Route(route)]);
        network.apply(Event::LinkGone(2));
        assert_eq!(network, Network::default());
    }

    #[test]
    fn loopback_and_link_local_are_no_node_addresses() {
        let network = network([
            address(1, "127.0.0.1"),
            address(1, "::1"),
            address(1, "198.51.100.1"),
            address(2, "fe80::1"),
            address(2, "169.254.1.1"),
            address(2, "2001:db8::1"),
        ]);
        let expected = BTreeSet::from([ip("198.51.100.1"), ip("2001:db8::1")]);
        assert_eq!(network.node_addresses(), expected);
    }
}
