//! Where ClusterIPs and NodePorts come from.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use ipnet::{Ipv4Net, Ipv6Net};

use super::pool::probe;
use crate::plan::operation::Family;

/// Where addresses and ports are taken from.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// ClusterIPs of IPv4; without, Services have none.
    pub ipv4: Option<Ipv4Net>,
    /// ClusterIPs of IPv6; without, Services have none.
    pub ipv6: Option<Ipv6Net>,
    /// NodePorts.
    pub node_ports: RangeInclusive<u16>,
}

impl Ranges {
    /// ClusterIPs as clusters usually have them: 10.96.0.0/16.
    pub const DEFAULT_IPV4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16);
    /// ClusterIPs of IPv6 of the same kind: fd00:10:96::/112.
    pub const DEFAULT_IPV6: Ipv6Net =
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0), 112);
    /// NodePorts as clusters usually have them.
    pub const DEFAULT_NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;
}

impl Default for Ranges {
    fn default() -> Self {
        Self {
            ipv4: Some(Self::DEFAULT_IPV4),
            ipv6: Some(Self::DEFAULT_IPV6),
            node_ports: Self::DEFAULT_NODE_PORTS,
        }
    }
}

impl Ranges {
    pub(super) fn serves(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.ipv4.is_some(),
            Family::V6 => self.ipv6.is_some(),
        }
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.ipv4.is_some_and(|net| net.contains(&ip)),
            IpAddr::V6(ip) => self.ipv6.is_some_and(|net| net.contains(&ip)),
        }
    }

    /// The addresses of one family for a Service, the preferred one first. The first of the range (and of IPv4
    /// the last) is nobody's.
    pub(super) fn addresses(
        &self,
        service: &str,
        family: Family,
    ) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.ipv4.filter(|_| family == Family::V4).map(|net| {
            let size = 1_u64 << (32 - net.prefix_len());
            let base = u32::from(net.network());
            probe(service, size.saturating_sub(2))
                .map(move |i| IpAddr::V4((base + 1 + i as u32).into()))
        });
        let v6 = self.ipv6.filter(|_| family == Family::V6).map(|net| {
            let size = 1_u64 << (128 - net.prefix_len()).min(32);
            let base = u128::from(net.network());
            probe(service, size - 1).map(move |i| IpAddr::V6((base + 1 + u128::from(i)).into()))
        });
        v4.into_iter().flatten().chain(v6.into_iter().flatten())
    }

    /// The NodePorts for a port, the preferred one first.
    pub(super) fn node_ports(&self, port: &str) -> impl Iterator<Item = u16> + use<> {
        let first = *self.node_ports.start();
        let size = u64::from(self.node_ports.end().saturating_sub(first)) + 1;
        probe(port, size).map(move |i| first + i as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_in_their_range_and_leave_its_ends() {
        let ranges = Ranges {
            ipv4: Some("10.96.0.0/29".parse().unwrap()),
            ipv6: Some("fd00::/125".parse().unwrap()),
            node_ports: 30_000..=30_001,
        };
        let sorted = |family| {
            let mut all: Vec<_> = ranges.addresses("ns/web", family).collect();
            all.sort();
            (all.len(), all[0].to_string(), all[all.len() - 1].to_string())
        };
        assert_eq!(sorted(Family::V4), (6, "10.96.0.1".into(), "10.96.0.6".into()));
        assert_eq!(sorted(Family::V6), (7, "fd00::1".into(), "fd00::7".into()));
        let mut ports: Vec<_> = ranges.node_ports("ns/web http").collect();
        ports.sort_unstable();
        assert_eq!(ports, [30_000, 30_001]);
    }

    #[test]
    fn the_largest_and_the_smallest_ranges_work() {
        let of = |v4: &str, v6: &str| Ranges {
            ipv4: Some(v4.parse().unwrap()),
            ipv6: Some(v6.parse().unwrap()),
            node_ports: 1..=u16::MAX,
        };
        let count = |ranges: &Ranges, family| ranges.addresses("a", family).take(3).count();
        let large = of("0.0.0.0/0", "::/0");
        assert_eq!((count(&large, Family::V4), count(&large, Family::V6)), (3, 3));
        assert_eq!(large.node_ports("a").count(), usize::from(u16::MAX));
        let small = of("10.0.0.1/32", "fd00::1/128");
        assert_eq!((count(&small, Family::V4), count(&small, Family::V6)), (0, 0));
    }
}
