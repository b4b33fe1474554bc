//! The addresses of a small world, in which packets meet often. Documentation and private ranges.

use std::net::{IpAddr, SocketAddr};

use crate::model::Net;

/// Masquerade ports: so few that they run out.
pub(super) const MASQUERADE_PORTS: (u16, u16) = (10_240, 10_247);

/// The world in one family.
pub(super) struct World {
    /// ClusterIPs.
    pub(super) cluster: [IpAddr; 2],
    /// Another address, of Services of both kinds: external and a load balancer's.
    pub(super) external: [IpAddr; 2],
    /// The node's addresses, the first of which is always there.
    pub(super) node: [IpAddr; 2],
    /// Endpoints and whether they are on this node; the last is the node itself.
    pub(super) endpoints: [(IpAddr, bool); 5],
    /// Clients that are nobody's endpoint: a pod of this node, one from outside.
    pub(super) clients: [IpAddr; 2],
    /// Somebody else.
    pub(super) stranger: IpAddr,
    /// Addresses of this node's pods.
    pub(super) pods: Net,
    /// Source ranges.
    pub(super) ranges: [Net; 4],
}

/// Ports that endpoints answer at.
pub(super) const SERVING: [u16; 2] = [8080, 8081];
/// Ports that are asked at addresses of their own.
pub(super) const ASKED: [u16; 2] = [80, 8080];
/// Ports that are asked at the node's addresses.
pub(super) const NODE_PORTS: [u16; 3] = [30_080, 30_081, 30_082];
/// Clients' ports: few, and some that mean something else as well.
pub(super) const CLIENT_PORTS: [u16; 6] = [40_000, 40_001, 8080, 80, 30_080, 10_240];

impl World {
    /// The world in IPv4, or in IPv6.
    pub(super) fn new(v4: bool) -> Self {
        if v4 { ipv4() } else { ipv6() }
    }

    /// Every address that may be a client's.
    pub(super) fn askers(&self) -> Vec<IpAddr> {
        let endpoints = self.endpoints.iter().map(|(ip, _)| *ip);
        endpoints.chain(self.clients).chain(self.clients).chain([self.node[1]]).collect()
    }

    /// Every address and port that may be asked.
    pub(super) fn askable(&self) -> Vec<SocketAddr> {
        let at = |ips: [IpAddr; 2], ports: &'static [u16]| {
            let all = move |ip| ports.iter().map(move |port| SocketAddr::new(ip, *port));
            ips.into_iter().flat_map(all)
        };
        at(self.cluster, &ASKED)
            .chain(at(self.external, &ASKED))
            .chain(at(self.node, &NODE_PORTS))
            .collect()
    }
}

fn ipv4() -> World {
    World {
        cluster: [ip("10.96.0.10"), ip("10.96.0.11")],
        external: [ip("192.0.2.100"), ip("192.0.2.101")],
        node: [ip("192.0.2.1"), ip("192.0.2.2")],
        endpoints: [
            (ip("10.244.1.1"), true),
            (ip("10.244.1.2"), true),
            (ip("10.244.2.1"), false),
            (ip("10.244.2.2"), false),
            (ip("192.0.2.1"), true),
        ],
        clients: [ip("10.244.1.9"), ip("198.51.100.7")],
        stranger: ip("203.0.113.5"),
        pods: net("10.244.1.0", 24),
        ranges: [
            net("198.51.100.0", 24),
            net("10.244.0.0", 16),
            net("10.244.1.9", 32),
            net("0.0.0.0", 0),
        ],
    }
}

fn ipv6() -> World {
    World {
        cluster: [ip("fd00:10:96::10"), ip("fd00:10:96::11")],
        external: [ip("2001:db8::100"), ip("2001:db8::101")],
        node: [ip("2001:db8::1"), ip("2001:db8::2")],
        endpoints: [
            (ip("fd00:10:244:1::1"), true),
            (ip("fd00:10:244:1::2"), true),
            (ip("fd00:10:244:2::1"), false),
            (ip("fd00:10:244:2::2"), false),
            (ip("2001:db8::1"), true),
        ],
        clients: [ip("fd00:10:244:1::9"), ip("2001:db8:1::7")],
        stranger: ip("2001:db8:2::5"),
        pods: net("fd00:10:244:1::", 64),
        ranges: [
            net("2001:db8:1::", 48),
            net("fd00:10:244::", 48),
            net("fd00:10:244:1::9", 128),
            net("::", 0),
        ],
    }
}

fn net(text: &str, prefix: u8) -> Net {
    Net { ip: ip(text), prefix }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
