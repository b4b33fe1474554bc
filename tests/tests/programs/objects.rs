//! Random objects, of few names and addresses so that they meet often.

use std::{net::IpAddr, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use svclb::{
    plan::operation::{Family, Protocol},
    snapshot::{
        Change, Endpoint, EndpointPort, EndpointSlice, Hints, Node, ObjectKey, Port, Service,
        TrafficPolicy,
    },
};
use svclb_common::frontend::Device;

/// Addresses of the node; those that masquerading takes come first in their families.
pub(crate) const NODE: [&str; 4] = ["192.0.2.10", "2001:db8::10", "192.0.2.11", "2001:db8::11"];

/// Clients: a pod of this node and one of another, each the address of an endpoint or not; outside,
/// within source ranges or not.
const CLIENTS: [[&str; 6]; 2] = [
    ["10.244.1.1", "10.244.1.9", "10.244.2.1", "10.244.2.9", "198.51.100.7", "203.0.113.77"],
    [
        "fd00:10:244:1::1",
        "fd00:10:244:1::9",
        "fd00:10:244:2::1",
        "fd00:10:244:2::9",
        "2001:db8:7::1",
        "2001:db8:8::1",
    ],
];

const SERVICES: u8 = 4;

/// Numbers that look random: splitmix64, by the seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (b ^ (b >> 31)) % n
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What the node masquerades with.
pub(crate) fn masquerade() -> Device {
    let mut device = Device::default();
    for own in &NODE[..2] {
        match ip(own) {
            IpAddr::V4(own) => device.masq4 = own.into(),
            IpAddr::V6(own) => device.masq6 = own.into(),
        }
    }
    device
}

/// All objects of a cluster, which take the place of those before.
pub(crate) fn changes(random: &mut Random) -> Vec<Change> {
    let mut changes = vec![Change::Node("node1".into(), Some(node(random)))];
    for number in 1..=SERVICES {
        let key = |suffix: &str| ObjectKey::new("ns", &format!("s{number}{suffix}"));
        let service = (!random.once_in(8)).then(|| service(random, number));
        changes.push(Change::Service(key(""), service));
        for family in [Family::V4, Family::V6] {
            let slice = (!random.once_in(6)).then(|| slice(random, number, family));
            changes.push(Change::Slice(key(&format!("-{family}")), slice));
        }
    }
    changes.push(Change::Listed);
    changes
}

fn node(random: &mut Random) -> Node {
    let ranges = ["10.244.1.0/24", "fd00:10:244:1::/64"].map(|range| range.parse().expect("range"));
    let known = random.below(3) as usize;
    Node {
        addresses: NODE[..2].iter().map(|own| ip(own)).collect(),
        pod_cidrs: ranges[..known].to_vec(),
        ..Node::default()
    }
}

/// An address of a kind of frontend: services share some of them.
fn address(kind: u8, number: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 if kind == 0 => IpAddr::from([10, 96, 0, number]),
        Family::V4 => IpAddr::from([203, 0, 113, kind * 16 + number]),
        Family::V6 => IpAddr::from([0xfd00, 0x10, 0x96, 0, 0, 0, kind.into(), number.into()]),
    }
}

fn both(kind: u8, number: u8) -> Vec<IpAddr> {
    [Family::V4, Family::V6].map(|family| address(kind, number, family)).into()
}

fn service(random: &mut Random, number: u8) -> Service {
    let policies = [TrafficPolicy::Cluster, TrafficPolicy::Local];
    let ranges: [IpNet; 2] =
        ["198.51.100.0/24", "2001:db8:7::/48"].map(|range| range.parse().expect("range"));
    let port = |protocol, random: &mut Random| Port {
        name: if protocol == Protocol::Tcp { "t".into() } else { "u".into() },
        protocol,
        port: 80,
        node_port: random.pick(&[0, 30_001, 30_000 + u16::from(number)]),
    };
    Service {
        cluster_ips: both(0, number),
        external_ips: both(1, random.pick(&[number, 1])),
        load_balancer_ips: both(2, number),
        source_ranges: if random.once_in(2) { ranges.into() } else { Vec::new() },
        ports: vec![port(Protocol::Tcp, random), port(Protocol::Udp, random)],
        internal_policy: random.pick(&policies),
        external_policy: random.pick(&policies),
        affinity: random.once_in(3).then_some(Duration::from_secs(60)),
        ..Service::default()
    }
}

fn slice(random: &mut Random, number: u8, family: Family) -> EndpointSlice {
    let count = random.below(6);
    let port = |name: &str, protocol| EndpointPort { name: name.into(), protocol, port: 8080 };
    EndpointSlice {
        service: format!("s{number}").into(),
        family,
        ports: vec![port("t", Protocol::Tcp), port("u", Protocol::Udp)],
        endpoints: (0..count).map(|_| endpoint(random, family)).collect(),
        triggered: None,
    }
}

fn endpoint(random: &mut Random, family: Family) -> Endpoint {
    let (node, last) = (random.pick(&[1, 2]), random.pick(&[1, 2, 3]));
    let address = match family {
        Family::V4 => IpAddr::from([10, 244, node, last]),
        Family::V6 => IpAddr::from([0xfd00, 0x10, 0x244, node.into(), 0, 0, 0, u16::from(last)]),
    };
    let hint = random.pick(&[None, Some("node1"), Some("node2")]);
    let nodes = hint.into_iter().map(Into::into).collect();
    Endpoint {
        address,
        ready: !random.once_in(4),
        serving: !random.once_in(4),
        terminating: random.once_in(4),
        node: Some(format!("node{node}").as_str().into()),
        hints: Hints { nodes, ..Hints::default() },
    }
}

/// Whether endpoints have such addresses.
pub(crate) fn is_endpoint(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..2] == [10, 244],
        IpAddr::V6(ip) => ip.segments()[..3] == [0xfd00, 0x10, 0x244],
    }
}

/// A client, and an address and port of its family that it asks.
pub(crate) fn asking(random: &mut Random) -> (IpAddr, SocketAddr) {
    let family = random.pick(&[Family::V4, Family::V6]);
    let clients = &CLIENTS[usize::from(family == Family::V6)];
    let number = random.pick(&[1, 2, 3, 4]);
    let own = NODE.map(ip).into_iter().filter(|own| Family::of(*own) == family);
    let own: Vec<_> = own.collect();
    let destination = match random.below(7) {
        0 => SocketAddr::new(address(0, number, family), random.pick(&[80, 80, 81])),
        1 => SocketAddr::new(address(1, number, family), 80),
        2 => SocketAddr::new(address(2, number, family), random.pick(&[80, 80, 81])),
        3 => SocketAddr::new(address(0, 99, family), 80),
        4 => SocketAddr::new(address(0, number, family), 80),
        _ => SocketAddr::new(random.pick(&own), random.pick(&[30_001, 30_002, 30_003, 22])),
    };
    (ip(random.pick(clients)), destination)
}
