//! Who is inside the cluster.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{plan::operation::Family, snapshot::Node};

/// How clients inside the cluster are told from those outside.
///
/// Those inside keep their address towards a ClusterIP, and are not held to an
/// `externalTrafficPolicy` of `Local`. This node itself is always inside.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Detection {
    /// They are not: nobody is known to be inside or outside.
    Off,
    /// Inside is who has an address of this node's podCIDRs. In a family without, it is not known.
    #[default]
    Node,
    /// Inside is who has an address of these ranges. In a family without, it is not known.
    Cluster(BTreeSet<IpNet>),
    /// Inside is whose packets come from a device for pods.
    Interface,
}

/// Ranges of clients that are inside, and of those of whom it is known whether they are.
pub type Ranges = (BTreeSet<IpNet>, BTreeSet<IpNet>);

impl Detection {
    /// The ranges, as far as addresses decide; `None` if they are to be found in this node's object,
    /// which is not there.
    pub fn ranges(&self, node: Option<&Node>) -> Option<Ranges> {
        Some(match self {
            Self::Off => Ranges::default(),
            Self::Node => by_address(node?.pod_cidrs.iter().map(IpNet::trunc).collect()),
            Self::Cluster(ranges) => by_address(ranges.clone()),
            Self::Interface => (BTreeSet::new(), EVERYBODY.into()),
        })
    }
}

/// The ranges where these are inside, and every other address of their families is outside.
pub fn by_address(inside: BTreeSet<IpNet>) -> Ranges {
    let of = |net: &IpNet| Family::of(net.network());
    let families: BTreeSet<_> = inside.iter().map(of).collect();
    let detected = EVERYBODY.into_iter().filter(|net| families.contains(&of(net))).collect();
    (inside, detected)
}

/// All addresses of each family.
const EVERYBODY: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().expect("a range")).collect()
    }

    fn node(pod_cidrs: &[&str]) -> Node {
        Node { pod_cidrs: nets(pod_cidrs), ..Node::default() }
    }

    #[test]
    fn who_is_inside_is_known_by_mode_and_family() {
        let both = &["0.0.0.0/0", "::/0"][..];
        let cluster = |texts| Detection::Cluster(nets(texts).into_iter().collect());
        type Row<'a> = (&'a str, Detection, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let table: [Row<'_>; 6] = [
            ("off", Detection::Off, &["10.244.1.0/24"], &[], &[]),
            ("a node without podCIDRs", Detection::Node, &[], &[], &[]),
            ("one family", Detection::Node, &["10.244.1.0/24"], &["10.244.1.0/24"], &both[..1]),
            (
                "both families",
                Detection::Node,
                &["10.244.1.7/24", "fd00:1::/64"],
                &["10.244.1.0/24", "fd00:1::/64"],
                both,
            ),
            (
                "the cluster's range, not the node's",
                cluster(&["fd00::/48"]),
                &["10.244.1.0/24"],
                &["fd00::/48"],
                &both[1..],
            ),
            ("devices decide", Detection::Interface, &["10.244.1.0/24"], &[], both),
        ];
        for (case, detection, pod_cidrs, inside, detected) in table {
            let expected =
                (nets(inside).into_iter().collect(), nets(detected).into_iter().collect());
            assert_eq!(detection.ranges(Some(&node(pod_cidrs))), Some(expected), "{case}");
        }
    }

    #[test]
    fn without_a_node_object_nothing_is_known_about_its_ranges() {
        assert_eq!(Detection::Node.ranges(None), None);
        assert!(
            Detection::Off.ranges(None).is_some() && Detection::Interface.ranges(None).is_some()
        );
    }
}
