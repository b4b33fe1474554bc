//! What a lab looks like, as values.

use std::fmt;

/// How pods are joined to their node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodLink {
    /// A veth each, with a route to the pod's address, as Calico does it.
    Routed,
    /// A port of the bridge `cni0`, as flannel and the bridge plugin do it.
    Bridged,
}

/// How pods of one node reach those of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Plain routes through the nodes' LAN.
    HostGateway,
    /// A vxlan device, as flannel sets it up.
    Vxlan,
}

/// What makes a node hostile: strict rp_filter, flannel's masquerade rules, conntrack's INVALID
/// dropped, foreign TC programs around svclb's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hostile {
    /// Whether bridged packets pass the IP rulesets (br_netfilter).
    pub bridge_netfilter: bool,
}

/// A lab to build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preset {
    /// How pods are joined to their node.
    pub pods: PodLink,
    /// How pods of one node reach those of another.
    pub transport: Transport,
    /// Hostile nodes, if so.
    pub hostile: Option<Hostile>,
    /// How many nodes, at most 9.
    pub nodes: u8,
}

const HOSTILE: Option<Hostile> = Some(Hostile { bridge_netfilter: true });
const HOSTILE_NO_BRIDGE: Option<Hostile> = Some(Hostile { bridge_netfilter: false });

impl Preset {
    /// Two plain nodes with routed pods.
    pub const ROUTED: Self =
        Self { pods: PodLink::Routed, transport: Transport::HostGateway, hostile: None, nodes: 2 };
    /// Two plain nodes with bridged pods.
    pub const BRIDGED: Self = Self { pods: PodLink::Bridged, ..Self::ROUTED };
    /// Two plain nodes with bridged pods and a vxlan between the nodes.
    pub const VXLAN: Self = Self { transport: Transport::Vxlan, ..Self::BRIDGED };

    /// All that the scenarios run under.
    pub const ALL: [Self; 8] = [
        Self::ROUTED,
        Self { hostile: HOSTILE, ..Self::ROUTED },
        Self::BRIDGED,
        Self { hostile: HOSTILE, ..Self::BRIDGED },
        Self { hostile: HOSTILE_NO_BRIDGE, ..Self::BRIDGED },
        Self::VXLAN,
        Self { hostile: HOSTILE, ..Self::VXLAN },
        Self { hostile: HOSTILE_NO_BRIDGE, ..Self::VXLAN },
    ];

    /// Whether it wants bridged packets to pass the IP rulesets.
    pub fn needs_bridge_netfilter(&self) -> bool {
        let asked = self.hostile.is_some_and(|hostile| hostile.bridge_netfilter);
        asked && self.pods == PodLink::Bridged
    }

    /// The largest IP packet that every path between pods carries.
    pub fn pod_mtu(&self) -> u16 {
        match self.transport {
            Transport::HostGateway => 1500,
            // Outer IPv4, UDP and vxlan headers and the inner Ethernet header.
            Transport::Vxlan => 1500 - 20 - 8 - 8 - 14,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.pods, self.transport) {
            (PodLink::Routed, Transport::HostGateway) => "routed",
            (PodLink::Bridged, Transport::HostGateway) => "bridged",
            (PodLink::Routed, Transport::Vxlan) => "routed-vxlan",
            (PodLink::Bridged, Transport::Vxlan) => "vxlan",
        })?;
        match self.hostile {
            None => Ok(()),
            Some(Hostile { bridge_netfilter: true }) => f.write_str("-hostile"),
            Some(Hostile { bridge_netfilter: false }) => f.write_str("-hostile-no-brnf"),
        }
    }
}
