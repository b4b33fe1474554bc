//! Nodes as they are met: strict reverse-path filter, a CNI's masquerade rules, INVALID dropped.

use anyhow::Result;

use super::{
    address::{self, POD_CIDR},
    netns::Netns,
    network,
    preset::Preset,
};

/// Sets the parameters of node `n` that plain and hostile nodes differ in. Run before any device
/// is made: each takes the reverse-path filter of `default`.
pub(super) fn apply(node: &Netns, n: u8, preset: &Preset) -> Result<()> {
    let rp_filter = if preset.hostile.is_some() { "1" } else { "0" };
    node.sysctls(&[
        ("net/ipv4/conf/all/rp_filter", rp_filter),
        ("net/ipv4/conf/default/rp_filter", rp_filter),
    ])?;
    network::set_bridge_netfilter(node, preset.needs_bridge_netfilter())?;
    if preset.hostile.is_some() {
        node.nft(&ruleset(n))?;
    }
    Ok(())
}

/// Flannel's masquerade rules (the order and the matches of its iptables rules), and a filter that
/// lets nothing pass that conntrack finds invalid.
fn ruleset(n: u8) -> String {
    let (own4, own6) = address::pod_cidr(n);
    let masquerade = |family: &str, pods: &str, own: &str, multicast: &str| {
        format!(
            "table {family} flannel-like {{\n\
               chain postrouting {{\n\
                 type nat hook postrouting priority srcnat;\n\
                 {family} saddr {pods} {family} daddr {pods} return\n\
                 {family} saddr {pods} {family} daddr != {multicast} masquerade fully-random\n\
                 {family} saddr != {pods} {family} daddr {own} return\n\
                 {family} saddr != {pods} {family} daddr {pods} masquerade fully-random\n\
               }}\n\
             }}\n"
        )
    };
    masquerade("ip", POD_CIDR.0, &own4, "224.0.0.0/4")
        + &masquerade("ip6", POD_CIDR.1, &own6, "ff00::/8")
        + "table inet strict {\n\
             chain input {\n\
               type filter hook input priority filter;\n\
               ct state invalid counter drop\n\
             }\n\
             chain forward {\n\
               type filter hook forward priority filter;\n\
               ct state invalid counter drop\n\
             }\n\
           }\n"
}
