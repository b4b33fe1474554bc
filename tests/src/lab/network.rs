//! The networks between the nodes and to the clients: one router namespace with two bridges.

use anyhow::Result;

use super::{
    address::{self, Dual},
    netns::Netns,
    preset::{Preset, Transport},
    vxlan,
};

/// The bridge of the nodes' LAN in the router's namespace.
pub(super) const LAN: &str = "lan0";
/// The bridge of the external clients' network in the router's namespace.
pub(super) const EXTERNAL: &str = "ext0";

/// Makes the router: it forwards between the two networks and knows nothing of pods.
pub(super) fn router(name: &str) -> Result<Netns> {
    let router = Netns::create(name)?;
    let mut lines = String::new();
    for (bridge, own) in [(LAN, address::lan_router()), (EXTERNAL, address::external_router())] {
        lines += &format!("link add {bridge} type bridge\n");
        lines += &addresses(bridge, own, 24, 64);
        lines += &format!("link set {bridge} up\n");
    }
    router.ip(lines)?;
    forwarding(&router)?;
    set_bridge_netfilter(&router, false)?;
    Ok(router)
}

/// Joins `station` to a bridge of the router as `eth0`, with its default routes.
pub(super) fn join(
    router: &Netns,
    bridge: &str,
    port: &str,
    station: &Netns,
    own: Dual,
) -> Result<()> {
    let gateway = if bridge == LAN { address::lan_router() } else { address::external_router() };
    router.ip(format!(
        "link add {port} type veth peer name eth0 netns {}\n\
         link set {port} master {bridge} up\n",
        station.name()
    ))?;
    let routes = format!(
        "link set eth0 up\n\
         route add default via {}\n\
         route add default via {}\n",
        gateway.v4, gateway.v6
    );
    station.ip(addresses("eth0", own, 24, 64) + &routes)
}

/// Sets a node up to reach the pods of the others.
pub(super) fn pod_routes(node: &Netns, n: u8, preset: &Preset) -> Result<()> {
    let others: Vec<u8> = (1..=preset.nodes).filter(|other| *other != n).collect();
    match preset.transport {
        Transport::Vxlan => vxlan::create(node, n, &others),
        Transport::HostGateway => {
            node.ip(others.iter().map(|n| gateway_of(*n)).collect::<String>())
        }
    }
}

fn gateway_of(other: u8) -> String {
    let (peer, (v4, v6)) = (address::node(other), address::pod_cidr(other));
    format!("route add {v4} via {}\nroute add {v6} via {}\n", peer.v4, peer.v6)
}

/// Lets a namespace forward packets of both families.
pub(super) fn forwarding(netns: &Netns) -> Result<()> {
    netns.sysctls(&[("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")])
}

/// Whether bridged packets pass the IP rulesets of a namespace. A kernel without br_netfilter
/// behaves as if it were off.
///
/// # Errors
/// `on` is asked of a kernel that has no br_netfilter.
pub(super) fn set_bridge_netfilter(netns: &Netns, on: bool) -> Result<()> {
    if !on && !has_bridge_netfilter() {
        return Ok(());
    }
    let value = if on { "1" } else { "0" };
    netns.sysctls(&[
        ("net/bridge/bridge-nf-call-iptables", value),
        ("net/bridge/bridge-nf-call-ip6tables", value),
    ])
}

/// Whether this kernel has br_netfilter, loaded.
pub fn has_bridge_netfilter() -> bool {
    std::path::Path::new("/proc/sys/net/bridge").exists()
}

/// Lines that give `device` an address of each family.
pub(super) fn addresses(device: &str, own: Dual, v4_bits: u8, v6_bits: u8) -> String {
    format!(
        "addr add {}/{v4_bits} dev {device}\n\
         addr add {}/{v6_bits} dev {device} nodad\n",
        own.v4, own.v6
    )
}
