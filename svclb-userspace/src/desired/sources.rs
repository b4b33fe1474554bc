//! Who may ask a load balancer's address.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use super::NodeContext;
use crate::{plan::operation::Family, snapshot::Service};

/// Whether `client` may ask the load balancer's address `asked`, if `ranges` are its Service's
/// source ranges of that family. Without ranges, everybody may.
///
/// An address that is on a device of this node, as load balancers' agents like to put it there, is
/// the source of this node's own packets to it. So it may ask itself where the node may.
pub fn admits(ranges: &[IpNet], asked: IpAddr, client: IpAddr, node: &NodeContext) -> bool {
    let listed = |ip: &IpAddr| ranges.iter().any(|range| range.contains(ip));
    ranges.is_empty() || listed(&client) || client == asked && node.addresses.iter().any(listed)
}

/// The source ranges of a Service in one family.
pub(super) fn of(service: &Service, family: Family) -> impl Iterator<Item = IpNet> {
    let ranges = service.source_ranges.iter().copied();
    ranges.filter(move |range| Family::of(range.network()) == family)
}

/// What [`admits`] says, as ranges that need no node: those of the Service, and its load balancers'
/// addresses if they may ask themselves on this node.
pub(super) fn admitted(service: &Service, family: Family, node: &NodeContext) -> BTreeSet<IpNet> {
    let ranges: BTreeSet<_> = of(service, family).map(|range| range.trunc()).collect();
    let listed = |ip: &IpAddr| ranges.iter().any(|range| range.contains(ip));
    let own = service.load_balancer_ips.iter().filter(|ip| Family::of(**ip) == family);
    let themselves = own.filter(|_| node.addresses.iter().any(listed)).copied().map(IpNet::from);
    let themselves: Vec<_> = themselves.collect();
    ranges.into_iter().chain(themselves).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges, the address that is asked, who may ask it, who may not.
    type Row<'a> = (&'a str, &'a [&'a str], &'a str, &'a [&'a str], &'a [&'a str]);

    const VIP: &str = "203.0.113.1";
    const VIP6: &str = "2001:db8:1::1";

    #[test]
    fn clients_outside_the_source_ranges_may_not_ask() {
        let node = ["192.0.2.10", "2001:db8::10"].map(|ip| ip.parse().unwrap());
        let node = NodeContext {
            name: "n".into(),
            zone: None,
            addresses: node.into(),
            ..NodeContext::default()
        };
        let table: [Row<'_>; 6] = [
            ("no range", &[], VIP, &["198.51.100.1", "10.244.0.1", VIP], &[]),
            (
                "clients inside the cluster are no exception",
                &["198.51.100.0/24"],
                VIP,
                &["198.51.100.1", "198.51.100.255"],
                &["198.51.101.1", "10.244.0.1", "192.0.2.10", VIP],
            ),
            (
                "one of several ranges",
                &["198.51.100.0/24", "10.0.0.0/8"],
                VIP,
                &["198.51.100.1", "10.244.0.1"],
                &["192.0.2.10", VIP],
            ),
            (
                "a listed node address admits the address itself",
                &["192.0.2.0/24"],
                VIP,
                &["192.0.2.10", "192.0.2.11", VIP],
                &["203.0.113.2"],
            ),
            ("everybody", &["0.0.0.0/0"], VIP, &["198.51.100.1", VIP], &[]),
            (
                "the other family",
                &["2001:db8::/64"],
                VIP6,
                &["2001:db8::1", VIP6],
                &["2001:db8:2::1"],
            ),
        ];
        for (case, ranges, asked, may, may_not) in table {
            let ranges: Vec<_> = ranges.iter().map(|range| range.parse().unwrap()).collect();
            let admits =
                |ip: &&str| admits(&ranges, asked.parse().unwrap(), ip.parse().unwrap(), &node);
            let refused: Vec<_> = may.iter().filter(|ip| !admits(ip)).collect();
            let admitted: Vec<_> = may_not.iter().filter(|ip| admits(ip)).collect();
            assert!(refused.is_empty() && admitted.is_empty(), "{case}: {refused:?} {admitted:?}");
        }
    }
}
