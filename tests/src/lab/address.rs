//! The lab's address plan.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | node n | 192.0.2.n/24 | 2001:db8::n/64 |
//! | pod i of node n | 10.244.n.i | fd00:10:244:n::i |
//! | client k on the nodes' LAN | 192.0.2.100+k | 2001:db8::c:k |
//! | client k behind the router | 198.51.100.k | 2001:db8:1::k |
//! | the control plane | 192.0.2.253 | 2001:db8::fd |
//! | the router | .254 of each | ::fe of each |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The name that Kubernetes gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// An address of each family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Dual {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

impl Dual {
    /// The address of one family.
    pub fn ip(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// The address of one family with a port.
    pub fn socket(self, family: Family, port: u16) -> SocketAddr {
        (self.ip(family), port).into()
    }
}

/// All pods' addresses, as prefixes.
pub const POD_CIDR: (&str, &str) = ("10.244.0.0/16", "fd00:10:244::/48");

/// Node `n`, from 1 on.
pub fn node(n: u8) -> Dual {
    lan(n, u16::from(n))
}

/// A client on the nodes' LAN, `k` from 1 on.
pub fn lan_client(k: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(192, 0, 2, 100 + k),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xc, u16::from(k)),
    }
}

/// A client behind the router, `k` from 1 on.
pub fn external_client(k: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(198, 51, 100, k),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(k)),
    }
}

/// The cluster's control plane on the nodes' LAN.
pub fn control_plane() -> Dual {
    lan(253, 0xfd)
}

/// The router on the nodes' LAN.
pub fn lan_router() -> Dual {
    lan(254, 0xfe)
}

/// The router on the network of external clients.
pub fn external_router() -> Dual {
    Dual { v4: external_client(254).v4, v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xfe) }
}

/// Pod `i` of node `n`, from 1 on.
pub fn pod(n: u8, i: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(10, 244, n, i),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, u16::from(n), 0, 0, 0, u16::from(i)),
    }
}

/// The bridge's address on node `n`: the gateway of its pods.
pub fn pod_gateway(n: u8) -> Dual {
    let zero = pod(n, 0);
    Dual { v4: pod(n, 254).v4, v6: Ipv6Addr::from_bits(zero.v6.to_bits() | 0xfe) }
}

/// The prefixes of the pods of node `n`.
pub fn pod_cidr(n: u8) -> (String, String) {
    let zero = pod(n, 0);
    (format!("{}/24", zero.v4), format!("{}/64", zero.v6))
}

fn lan(v4: u8, v6: u16) -> Dual {
    Dual { v4: Ipv4Addr::new(192, 0, 2, v4), v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, v6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_reads_as_documented() {
        let shown = |dual: Dual| format!("{} {}", dual.v4, dual.v6);
        assert_eq!(shown(node(2)), "192.0.2.2 2001:db8::2");
        assert_eq!(shown(pod(1, 3)), "10.244.1.3 fd00:10:244:1::3");
        assert_eq!(shown(pod_gateway(1)), "10.244.1.254 fd00:10:244:1::fe");
        assert_eq!(shown(lan_client(1)), "192.0.2.101 2001:db8::c:1");
        assert_eq!(shown(external_client(1)), "198.51.100.1 2001:db8:1::1");
        assert_eq!(shown(external_router()), "198.51.100.254 2001:db8:1::fe");
        assert_eq!(pod_cidr(2), ("10.244.2.0/24".into(), "fd00:10:244:2::/64".into()));
    }
}
