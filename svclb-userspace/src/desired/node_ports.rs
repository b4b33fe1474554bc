//! At which addresses of this node NodePorts answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use svclb_common::frontend::node_flags;

use crate::{plan::operation::Family, snapshot::Node};

/// Addresses of a node, by what they are to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Selection {
    /// Every address but loopback.
    All,
    /// Loopback, for the node's own processes.
    Localhost,
    /// The first address of each family in the Node object.
    Primary,
    /// Every address in this range, loopback included.
    Range(IpNet),
}

/// At which of its addresses a node serves NodePorts: those of any selection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodePortAddresses(pub BTreeSet<Selection>);

impl Default for NodePortAddresses {
    fn default() -> Self {
        Self([Selection::All, Selection::Localhost].into())
    }
}

impl NodePortAddresses {
    /// The contents of `node_addrs4` and `node_addrs6`: each of a node's addresses, and loopback
    /// where NodePorts answer there, with bits of [`node_flags`]. Without a Node object, none is
    /// primary.
    pub fn table(
        &self,
        addresses: &BTreeSet<IpAddr>,
        node: Option<&Node>,
    ) -> BTreeMap<IpAddr, u32> {
        let own = addresses.iter().map(|ip| match self.contains(*ip, node) {
            true => (*ip, node_flags::OWN | node_flags::NODE_PORTS),
            false => (*ip, node_flags::OWN),
        });
        let loopback = LOOPBACK.into_iter().filter(|ip| self.contains(*ip, node));
        own.chain(loopback.map(|ip| (ip, node_flags::NODE_PORTS))).collect()
    }

    /// Where a process of the node listens that is to be reached wherever NodePorts answer by this
    /// `table`: everywhere, if they answer everywhere.
    pub fn listen_at(&self, table: &BTreeMap<IpAddr, u32>) -> BTreeSet<IpAddr> {
        if [Selection::All, Selection::Localhost].iter().all(|one| self.0.contains(one)) {
            return [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()].into();
        }
        let answering = table.iter().filter(|(_, flags)| **flags & node_flags::NODE_PORTS != 0);
        answering.map(|(ip, _)| *ip).collect()
    }

    /// Whether NodePorts answer at an address of the node.
    pub fn contains(&self, ip: IpAddr, node: Option<&Node>) -> bool {
        self.0.iter().any(|selection| match selection {
            Selection::All => !ip.is_loopback(),
            Selection::Localhost => ip.is_loopback(),
            Selection::Primary => node.is_some_and(|node| is_primary(ip, node)),
            Selection::Range(range) => range.contains(&ip),
        })
    }
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn is_primary(ip: IpAddr, node: &Node) -> bool {
    node.addresses.iter().find(|known| Family::of(**known) == Family::of(ip)) == Some(&ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 4] = ["192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8::2"];

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn range(text: &str) -> Selection {
        Selection::Range(text.parse().expect("a range"))
    }

    #[test]
    fn node_ports_answer_where_a_selection_says() {
        let [all, localhost, primary] = [Selection::All, Selection::Localhost, Selection::Primary];
        let object = Node {
            addresses: ["192.0.2.1", "2001:db8::2", "2001:db8::1"].map(ip).into(),
            ..Node::default()
        };
        type Row<'a> = (&'a str, &'a [Selection], &'a [&'a str]);
        let table: [Row<'_>; 9] = [
            ("all is not loopback", &[all], &OWN),
            ("localhost", &[localhost], &["127.0.0.1", "::1"]),
            ("one of each family", &[primary], &["192.0.2.1", "2001:db8::2"]),
            ("a range", &[range("198.51.100.0/24")], &["198.51.100.1"]),
            (
                "ranges of both families",
                &[range("192.0.2.1/32"), range("2001:db8::/127")],
                &["192.0.2.1", "2001:db8::1"],
            ),
            ("a range with loopback in it", &[range("127.0.0.0/8")], &["127.0.0.1"]),
            ("everything of a family", &[range("::/0")], &["2001:db8::1", "2001:db8::2", "::1"]),
            ("several", &[primary, localhost], &["192.0.2.1", "2001:db8::2", "127.0.0.1", "::1"]),
            ("nothing that is there", &[range("203.0.113.0/24")], &[]),
        ];
        for (case, selections, expected) in table {
            let addresses = NodePortAddresses(selections.iter().copied().collect());
            let table = addresses.table(&OWN.map(ip).into(), Some(&object));
            let serving = table.iter().filter(|(_, flags)| *flags & node_flags::NODE_PORTS != 0);
            let serving: BTreeSet<_> = serving.map(|(ip, _)| *ip).collect();
            assert_eq!(serving, expected.iter().map(|text| ip(text)).collect(), "{case}");
            let own = table.iter().filter(|(_, flags)| *flags & node_flags::OWN != 0);
            assert_eq!(own.count(), OWN.len(), "{case}: the node's addresses stay its own");
        }
    }

    #[test]
    fn who_is_to_be_reached_at_node_ports_listens_there() {
        let listens = |addresses: NodePortAddresses| {
            let table = addresses.table(&OWN.map(ip).into(), None);
            let listens = addresses.listen_at(&table).into_iter();
            listens.map(|ip| ip.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(listens(NodePortAddresses::default()), ["0.0.0.0", "::"]);
        let all = NodePortAddresses([Selection::All].into());
        assert_eq!(listens(all), OWN, "not at loopback");
        let some = NodePortAddresses([range("198.51.100.0/24"), Selection::Localhost].into());
        assert_eq!(listens(some), ["127.0.0.1", "198.51.100.1", "::1"]);
    }

    #[test]
    fn without_a_node_object_no_address_is_primary() {
        let primary = NodePortAddresses([Selection::Primary].into());
        let table = primary.table(&OWN.map(ip).into(), None);
        assert!(table.values().all(|flags| *flags == node_flags::OWN));
    }
}
