//! Where a Service's port is reached: one list of kinds.

use std::net::{IpAddr, SocketAddr};

use svclb_common::frontend::frontend_flags;

use crate::{
    plan::operation::{Family, FrontendAddress},
    snapshot::{Port, Service},
};

/// A way in which clients reach a Service.
struct Kind {
    /// Where the port is found in one family.
    addresses: fn(&Service, &Port, Family) -> Vec<FrontendAddress>,
    /// Bits of [`frontend_flags`].
    flags: u32,
}

const KINDS: &[Kind] = &[
    Kind { addresses: cluster_ips, flags: 0 },
    Kind { addresses: node_port, flags: frontend_flags::EXTERNAL },
];

/// The frontends of `port` in `family`, with their flags.
pub fn of(
    service: &Service,
    port: &Port,
    family: Family,
) -> impl Iterator<Item = (FrontendAddress, u32)> {
    KINDS.iter().flat_map(move |kind| {
        (kind.addresses)(service, port, family).into_iter().map(|address| (address, kind.flags))
    })
}

fn cluster_ips(service: &Service, port: &Port, family: Family) -> Vec<FrontendAddress> {
    at(&service.cluster_ips, port, family)
}

fn node_port(_: &Service, port: &Port, family: Family) -> Vec<FrontendAddress> {
    match port.node_port {
        0 => Vec::new(),
        number => vec![FrontendAddress::NodePort(family, number, port.protocol)],
    }
}

fn at(addresses: &[IpAddr], port: &Port, family: Family) -> Vec<FrontendAddress> {
    addresses
        .iter()
        .filter(|ip| Family::of(**ip) == family)
        .map(|ip| FrontendAddress::Address(SocketAddr::new(*ip, port.port), port.protocol))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::operation::Protocol;

    fn port(node_port: u16) -> Port {
        Port { name: "http".into(), protocol: Protocol::Tcp, port: 80, node_port }
    }

    #[test]
    fn each_family_has_its_cluster_ip_and_node_port() {
        let service = Service {
            cluster_ips: ["10.96.0.1", "fd00::1"].map(|ip| ip.parse().unwrap()).to_vec(),
            ports: vec![port(30_080)],
            ..Service::default()
        };
        for (family, ip) in [(Family::V4, "10.96.0.1:80"), (Family::V6, "[fd00::1]:80")] {
            let found: Vec<_> = of(&service, &service.ports[0], family).collect();
            let address = FrontendAddress::Address(ip.parse().unwrap(), Protocol::Tcp);
            let node_port = FrontendAddress::NodePort(family, 30_080, Protocol::Tcp);
            assert_eq!(found, [(address, 0), (node_port, frontend_flags::EXTERNAL)]);
        }
        assert_eq!(of(&service, &port(0), Family::V4).count(), 1);
    }
}
