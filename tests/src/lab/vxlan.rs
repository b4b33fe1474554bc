//! The overlay between nodes: one vxlan device a node with static neighbours, as flannel's.

use anyhow::{Context, Result};

use super::{
    address::{self, Dual},
    command,
    netns::Netns,
};

/// Flannel's name and numbers for Linux.
pub(super) const DEVICE: &str = "flannel.1";
const ID: u8 = 1;
const PORT: u16 = 8472;

/// Makes the device of node `n`, which has the network address of the node's pods, and the ways
/// to the pods of `others`.
pub(super) fn create(node: &Netns, n: u8, others: &[u8]) -> Result<()> {
    let Dual { v4, v6 } = address::pod(n, 0);
    let device = format!(
        "link add {DEVICE} address {mac} type vxlan id {ID} local {local} dev eth0 \
         dstport {PORT} nolearning\n\
         addr add {v4}/32 dev {DEVICE}\n\
         addr add {v6}/128 dev {DEVICE} nodad\n\
         link set {DEVICE} up\n",
        mac = mac(n),
        local = address::node(n).v4,
    );
    let routes: String = others.iter().map(|other| routes_to(*other)).collect();
    node.ip(device + &routes)?;

    let outer: String = others.iter().map(|other| outer_address(*other)).collect();
    command::run("bridge", &["-n", node.name(), "-batch", "-"], &outer)
        .with_context(|| format!("network namespace {}", node.name()))?;
    Ok(())
}

fn routes_to(other: u8) -> String {
    let Dual { v4, v6 } = address::pod(other, 0);
    let (cidr4, cidr6) = address::pod_cidr(other);
    format!(
        "neigh add {v4} lladdr {mac} dev {DEVICE} nud permanent\n\
         neigh add {v6} lladdr {mac} dev {DEVICE} nud permanent\n\
         route add {cidr4} via {v4} dev {DEVICE} onlink\n\
         route add {cidr6} via {v6} dev {DEVICE} onlink\n",
        mac = mac(other),
    )
}

fn outer_address(other: u8) -> String {
    format!("fdb append {} dev {DEVICE} dst {}\n", mac(other), address::node(other).v4)
}

fn mac(n: u8) -> String {
    format!("02:f1:a2:00:00:{n:02x}")
}
