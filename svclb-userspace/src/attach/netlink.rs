//! rtnetlink's messages as [`Event`]s.

use std::net::IpAddr;

use rtnetlink::packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{InfoPortKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage},
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteType},
};

use super::network::{Address, DefaultRoute, Event, Layer, Link};
use crate::plan::operation::Family;

/// What a message announces; `None` if it is nothing that svclb follows.
pub(super) fn event(message: &RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(link) => self::link(link).map(Event::Link),
        RouteNetlinkMessage::DelLink(link) if is_device(link) => {
            Some(Event::LinkGone(link.header.index))
        }
        RouteNetlinkMessage::NewAddress(address) => {
            let index = address.header.index;
            match self::address(address)? {
                (ip, None) => Some(Event::AddressGone(index, ip)),
                (_, Some(address)) => Some(Event::Address(index, address)),
            }
        }
        RouteNetlinkMessage::DelAddress(address) => {
            Some(Event::AddressGone(address.header.index, own_ip(address)?))
        }
        RouteNetlinkMessage::NewRoute(route) => default_route(route).map(Event::Route),
        RouteNetlinkMessage::DelRoute(route) => default_route(route).map(Event::RouteGone),
        _ => None,
    }
}

/// A bridge announces its ports under a family of its own: leaving a bridge is no removal.
fn is_device(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Unspec
}

fn link(message: &LinkMessage) -> Option<Link> {
    if !is_device(message) {
        return None;
    }
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let layer = layer(message.header.link_layer_type);
    Some(Link { index: message.header.index, name, layer, bridge: bridge(message) })
}

/// The hard header as the packet path finds it, by the kernel's `ARPHRD_*` type.
///
/// Point-to-point GRE hands over the inner packet without a header (`__ipgre_rcv` resets the MAC
/// header), as the other tunnels do.
fn layer(kind: LinkLayerType) -> Layer {
    match kind {
        LinkLayerType::Ether => Layer::Ethernet,
        LinkLayerType::None
        | LinkLayerType::Rawip
        | LinkLayerType::Ppp
        | LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre => Layer::Ip,
        LinkLayerType::Loopback => Layer::Loopback,
        other => Layer::Other(other.into()),
    }
}

/// Whether packets of devices of this kind can be balanced; loopback's need not be.
pub fn is_supported(kind: LinkLayerType) -> bool {
    !matches!(layer(kind), Layer::Other(_))
}

fn bridge(message: &LinkMessage) -> u32 {
    let mut is_port = false;
    let mut controller = 0;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Controller(index) => controller = *index,
            LinkAttribute::LinkInfo(infos) => {
                is_port = infos.contains(&LinkInfo::PortKind(InfoPortKind::Bridge));
            }
            _ => {}
        }
    }
    if is_port { controller } else { 0 }
}

/// The address, and what it is good for; `None` if another host was found to have it.
fn address(message: &AddressMessage) -> Option<(IpAddr, Option<Address>)> {
    let (ip, flags) = (own_ip(message)?, flags(message));
    if flags.contains(AddressFlags::Dadfailed) {
        return Some((ip, None));
    }
    // For IPv6 the kernel's bit of a secondary address means a temporary one.
    let unfit = AddressFlags::Secondary | AddressFlags::Deprecated | AddressFlags::Tentative;
    let global = message.header.scope == AddressScope::Universe;
    Some((ip, Some(Address { ip, global, source: !flags.intersects(unfit) })))
}

fn flags(message: &AddressMessage) -> AddressFlags {
    let wide = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    wide.unwrap_or(AddressFlags::from_bits_retain(message.header.flags.bits().into()))
}

/// The node's own end: `IFA_LOCAL`, and where there is none (IPv6 without a peer) `IFA_ADDRESS`.
fn own_ip(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })
    })
}

fn default_route(message: &RouteMessage) -> Option<DefaultRoute> {
    let header = &message.header;
    let family = match header.address_family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    let is_default = header.destination_prefix_length == 0
        && header.table == RouteHeader::RT_TABLE_MAIN
        && header.kind == RouteType::Unicast;
    if !is_default {
        return None;
    }
    let (mut metric, mut index) = (0, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Oif(oif) => index = Some(*oif),
            RouteAttribute::MultiPath(hops) => index = hops.first().map(|hop| hop.interface_index),
            _ => {}
        }
    }
    Some(DefaultRoute { metric, index: index?, family })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.link_layer_type = LinkLayerType::Ether;
        message.attributes = attributes;
        message
    }

    fn port(controller: u32, kind: InfoPortKind) -> LinkMessage {
        device(vec![
            LinkAttribute::IfName("veth0".into()),
            LinkAttribute::Controller(controller),
            LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(kind)]),
        ])
    }

    #[test]
    fn a_bridge_port_knows_its_bridge_and_a_bond_port_has_none() {
        let bridge_of = |message| match event(&RouteNetlinkMessage::NewLink(message)) {
            Some(Event::Link(link)) => link.bridge,
            other => panic!("{other:?}"),
        };
        assert_eq!(bridge_of(port(3, InfoPortKind::Bridge)), 3);
        assert_eq!(bridge_of(port(3, InfoPortKind::Bond)), 0);
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_not_gone() {
        let mut message = port(3, InfoPortKind::Bridge);
        message.header.interface_family = AddressFamily::Bridge;
        assert_eq!(event(&RouteNetlinkMessage::DelLink(message.clone())), None);
        assert_eq!(event(&RouteNetlinkMessage::NewLink(message)), None);
    }

    #[test]
    fn tunnels_have_no_header_and_can_is_left_alone() {
        for kind in [LinkLayerType::None, LinkLayerType::Sit, LinkLayerType::Tunnel] {
            assert_eq!(layer(kind), Layer::Ip);
        }
        assert_eq!(layer(LinkLayerType::Can), Layer::Other(280));
    }

    #[test]
    fn a_peer_is_not_the_nodes_own_address() {
        let (own, peer) = ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
        let mut message = AddressMessage::default();
        message.attributes = vec![AddressAttribute::Address(peer), AddressAttribute::Local(own)];
        let expected = Address { ip: own, global: true, source: true };
        assert_eq!(address(&message), Some((own, Some(expected))));
    }

    fn v6(flag: AddressFlags) -> Option<Address> {
        let mut message = AddressMessage::default();
        let ip = "2001:db8::1".parse().expect("ip");
        message.attributes = vec![AddressAttribute::Address(ip), AddressAttribute::Flags(flag)];
        address(&message).expect("an address").1
    }

    #[test]
    fn a_temporary_or_tentative_address_is_no_source() {
        for flag in [AddressFlags::Secondary, AddressFlags::Tentative, AddressFlags::Deprecated] {
            assert!(!v6(flag).expect("valid").source, "{flag:?}");
        }
    }

    #[test]
    fn a_duplicate_address_is_not_the_nodes() {
        assert_eq!(v6(AddressFlags::Dadfailed), None);
    }

    #[test]
    fn only_a_unicast_route_to_everywhere_in_the_main_table_is_a_default_route() {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![RouteAttribute::Oif(4), RouteAttribute::Priority(10)];
        let route = DefaultRoute { metric: 10, index: 4, family: Family::V4 };
        assert_eq!(default_route(&message), Some(route));
        message.header.destination_prefix_length = 8;
        assert_eq!(default_route(&message), None);
        message.header.destination_prefix_length = 0;
        message.header.kind = RouteType::BlackHole;
        assert_eq!(default_route(&message), None);
    }
}
