//! The plan's values as the maps hold them, and back. Pure.

use std::net::SocketAddr;

use ipnet::IpNet;
use svclb_common::{
    address::Address,
    frontend::{Backend, FrontendKey, Source},
    names::{self, Owner, OwnerKind},
};

use crate::plan::operation::{BackendEntry, Family, FrontendAddress, Protocol, ServicePort};

/// The number that maps hold for a family.
fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

fn family_of<A: Address>() -> Family {
    if A::IS_V6 { Family::V6 } else { Family::V4 }
}

/// The key of a frontend; `None` if it is of another family.
pub(super) fn frontend_key<A: Address>(address: &FrontendAddress) -> Option<FrontendKey<A>> {
    match address {
        FrontendAddress::Address(address, protocol) => {
            Some(FrontendKey::new(A::from_ip(address.ip())?, address.port(), protocol.number()))
        }
        FrontendAddress::NodePort(family, port, protocol) if *family == family_of::<A>() => {
            Some(FrontendKey::node_port(*port, protocol.number()))
        }
        FrontendAddress::NodePort(..) => None,
        FrontendAddress::Vip(ip) => A::from_ip(*ip).map(FrontendKey::vip),
    }
}

/// What a frontend's key says; `None` if the protocol is unknown.
pub(crate) fn frontend_address<A: Address>(key: &FrontendKey<A>) -> Option<FrontendAddress> {
    if key.is_vip() {
        return Some(FrontendAddress::Vip(key.address.to_ip()));
    }
    let protocol = Protocol::from_number(key.protocol)?;
    Some(if key.address.is_any() {
        FrontendAddress::NodePort(family_of::<A>(), key.port, protocol)
    } else {
        FrontendAddress::Address(SocketAddr::new(key.address.to_ip(), key.port), protocol)
    })
}

/// The prefix's length and the key of a range of clients; `None` if it is of another family.
pub(super) fn source<A: Address>(service: u32, range: IpNet) -> Option<(u32, Source<A>)> {
    let source = Source { service, address: A::from_ip(range.network())? };
    Some((Source::<A>::SERVICE_BITS + u32::from(range.prefix_len()), source))
}

/// The range of clients that a prefix of a key means; `None` if it means no service's.
pub(super) fn source_range<A: Address>(prefix: u32, source: &Source<A>) -> Option<IpNet> {
    range(prefix.checked_sub(Source::<A>::SERVICE_BITS)?, &source.address)
}

/// The range of addresses that a prefix means; `None` if it is longer than an address.
pub(super) fn range<A: Address>(prefix: u32, address: &A) -> Option<IpNet> {
    IpNet::new(address.to_ip(), u8::try_from(prefix).ok()?).ok()
}

/// A backend of this family; `None` if it is of another one.
pub(super) fn backend<A: Address>(entry: &BackendEntry) -> Option<Backend<A>> {
    Some(Backend {
        address: A::from_ip(entry.address.ip())?,
        service: entry.service,
        port: entry.address.port(),
        protocol: entry.protocol.number(),
        flags: entry.flags,
        weight: entry.weight,
        group: 0,
    })
}

/// An unused entry.
pub(super) fn no_backend<A: Address>() -> Backend<A> {
    Backend { address: A::ANY, service: 0, port: 0, protocol: 0, flags: 0, weight: 0, group: 0 }
}

/// What a backend's value says; `None` for an unused entry.
pub(crate) fn backend_entry<A: Address>(backend: &Backend<A>) -> Option<BackendEntry> {
    Some(BackendEntry {
        address: SocketAddr::new(backend.address.to_ip(), backend.port),
        protocol: Protocol::from_number(backend.protocol)?,
        service: backend.service,
        flags: backend.flags,
        weight: backend.weight,
    })
}

/// The value of `names`.
pub(super) fn owner(port: &ServicePort, number: u16) -> Owner {
    Owner {
        namespace: names::text(&port.namespace),
        name: names::text(&port.name),
        port_name: names::text(&port.port_name),
        port: number,
        protocol: port.protocol.number(),
        family: family_number(port.family),
        kind: OwnerKind::Service as u8,
        pad: [0; 3],
    }
}

/// What a value of `names` says; `None` if it makes no sense.
pub(crate) fn service_port(owner: &Owner) -> Option<ServicePort> {
    let family = [Family::V4, Family::V6].into_iter().find(|f| family_number(*f) == owner.family);
    Some(ServicePort {
        namespace: names::chars(&owner.namespace).collect(),
        name: names::chars(&owner.name).collect(),
        port_name: names::chars(&owner.port_name).collect(),
        protocol: Protocol::from_number(owner.protocol)?,
        family: family?,
    })
}

#[cfg(test)]
mod tests {
    use svclb_common::address::{V4, V6};

    use super::*;

    fn address(text: &str) -> FrontendAddress {
        FrontendAddress::Address(text.parse().expect("address"), Protocol::Udp)
    }

    #[test]
    fn frontends_survive_their_map() {
        let vip = |ip: &str| FrontendAddress::Vip(ip.parse().expect("address"));
        let node_port = FrontendAddress::NodePort(Family::V4, 30053, Protocol::Tcp);
        let v4 = [address("10.96.0.10:53"), node_port, vip("10.96.0.10")];
        for frontend in v4 {
            let key = frontend_key::<V4>(&frontend).expect("IPv4");
            assert_eq!(frontend_address(&key), Some(frontend));
            assert_eq!(frontend_key::<V6>(&frontend), None);
        }
        let node_port = FrontendAddress::NodePort(Family::V6, 1, Protocol::Udp);
        let v6 = [address("[fd00::a]:53"), node_port, vip("fd00::a")];
        for frontend in v6 {
            let key = frontend_key::<V6>(&frontend).expect("IPv6");
            assert_eq!(frontend_address(&key), Some(frontend));
            assert_eq!(frontend_key::<V4>(&frontend), None);
        }
    }

    #[test]
    fn backends_survive_their_map() {
        let entry = BackendEntry {
            address: "10.0.0.7:8080".parse().expect("address"),
            protocol: Protocol::Tcp,
            service: 3,
            flags: 1,
            weight: 7,
        };
        let value = backend::<V4>(&entry).expect("IPv4");
        assert_eq!(backend_entry(&value), Some(entry));
        assert_eq!(backend::<V6>(&entry), None);
        assert_eq!(backend_entry(&no_backend::<V6>()), None);
    }

    #[test]
    fn owners_survive_their_map() {
        let port = ServicePort {
            namespace: "kube-system".into(),
            name: "kube-dns".into(),
            port_name: "dns-tcp".into(),
            protocol: Protocol::Tcp,
            family: Family::V6,
        };
        let value = owner(&port, 53);
        assert_eq!(service_port(&value), Some(port));
        assert_eq!(value.port, 53);
        assert_eq!(service_port(&Owner { family: 5, ..value }), None);
    }
}
