//! Addresses of both families by role. Documentation and private ranges.

use std::net::SocketAddr;

/// The addresses of one family.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) client: SocketAddr,
    pub(crate) other_client: SocketAddr,
    pub(crate) vip: SocketAddr,
    pub(crate) other_vip: SocketAddr,
    pub(crate) node: SocketAddr,
    pub(crate) backends: [SocketAddr; 4],
    pub(crate) stranger: SocketAddr,
}

/// Both families.
pub(crate) fn families() -> [Addresses; 2] {
    [v4(), v6()]
}

/// IPv4.
pub(crate) fn v4() -> Addresses {
    Addresses {
        client: at("10.244.1.9:40000"),
        other_client: at("198.51.100.7:40000"),
        vip: at("10.96.0.10:80"),
        other_vip: at("10.96.0.11:8000"),
        node: at("192.0.2.1:30080"),
        backends: ["1.1", "1.2", "2.1", "2.2"].map(|end| at(&format!("10.244.{end}:8080"))),
        stranger: at("203.0.113.5:443"),
    }
}

/// IPv6.
pub(crate) fn v6() -> Addresses {
    Addresses {
        client: at("[fd00:10:244:1::9]:40000"),
        other_client: at("[2001:db8:1::7]:40000"),
        vip: at("[fd00:10:96::10]:80"),
        other_vip: at("[fd00:10:96::11]:8000"),
        node: at("[2001:db8::1]:30080"),
        backends: ["1::1", "1::2", "2::1", "2::2"]
            .map(|end| at(&format!("[fd00:10:244:{end}]:8080"))),
        stranger: at("[2001:db8:2::5]:443"),
    }
}

/// The same address with another port.
pub(crate) fn port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}
