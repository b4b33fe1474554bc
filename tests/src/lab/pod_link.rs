//! How a pod's namespace is joined to its node.

use std::net::Ipv6Addr;

use anyhow::Result;

use super::{
    address::{self, Dual},
    netns::Netns,
    network::addresses,
    preset::{PodLink, Preset},
};

/// The bridge of bridged pods.
const BRIDGE: &str = "cni0";
/// Its own address. Without one, a bridge takes the lowest of its ports' addresses, which changes as
/// pods come and go, and the pods' neighbour entries for their gateway are wrong for seconds.
const BRIDGE_MAC: &str = "02:c1:00:00:00:01";

/// The gateway that routed pods see: not a real address in IPv4 (the node answers ARP for all),
/// a link-local one in IPv6. Calico's values.
const ROUTED_GATEWAY4: &str = "169.254.1.1";
const ROUTED_GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Prepares a node for its pods.
pub(super) fn prepare(node: &Netns, n: u8, preset: &Preset) -> Result<()> {
    if preset.pods == PodLink::Routed {
        return Ok(());
    }
    let mtu = preset.pod_mtu();
    node.ip(format!(
        "link add {BRIDGE} address {BRIDGE_MAC} mtu {mtu} type bridge\n\
         {}\
         link set {BRIDGE} up\n",
        addresses(BRIDGE, address::pod_gateway(n), 24, 64)
    ))
}

/// Joins `pod` as pod `i` of node `n`; the device on the node's side is [`device`].
pub(super) fn join(node: &Netns, n: u8, i: u8, pod: &Netns, preset: &Preset) -> Result<()> {
    let (device, mtu, own) = (device(i), preset.pod_mtu(), address::pod(n, i));
    node.ip(format!(
        "link add {device} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}\n",
        pod.name()
    ))?;
    match preset.pods {
        PodLink::Routed => join_routed(node, &device, pod, own),
        PodLink::Bridged => join_bridged(node, &device, pod, own, address::pod_gateway(n)),
    }
}

/// The name of pod `i`'s device on its node.
pub(super) fn device(i: u8) -> String {
    format!("pod{i}")
}

fn join_routed(node: &Netns, device: &str, pod: &Netns, own: Dual) -> Result<()> {
    node.ip(format!(
        "addr add {ROUTED_GATEWAY6}/64 dev {device} nodad\n\
         link set {device} up\n\
         route add {}/32 dev {device}\n\
         route add {}/128 dev {device}\n",
        own.v4, own.v6
    ))?;
    node.sysctls(&[
        (&format!("net/ipv4/conf/{device}/proxy_arp"), "1"),
        // Else the node waits up to 0.8 s before it answers for another address.
        (&format!("net/ipv4/neigh/{device}/proxy_delay"), "0"),
    ])?;
    let routes = format!(
        "link set eth0 up\n\
         route add {ROUTED_GATEWAY4} dev eth0 scope link\n\
         route add default via {ROUTED_GATEWAY4} dev eth0\n\
         route add default via {ROUTED_GATEWAY6} dev eth0\n"
    );
    pod.ip(addresses("eth0", own, 32, 128) + &routes)
}

fn join_bridged(node: &Netns, device: &str, pod: &Netns, own: Dual, gateway: Dual) -> Result<()> {
    node.ip(format!("link set {device} master {BRIDGE} up\n"))?;
    let routes = format!(
        "link set eth0 up\n\
         route add default via {} dev eth0\n\
         route add default via {} dev eth0\n",
        gateway.v4, gateway.v6
    );
    pod.ip(addresses("eth0", own, 24, 64) + &routes)
}
