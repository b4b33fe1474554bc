//! The addresses of this machine, read once.

use std::{collections::BTreeSet, io, net::IpAddr};

use nix::ifaddrs::getifaddrs;

use super::network::is_node_address;

/// The addresses that this network namespace has now, as [`Monitor`](super::Monitor) would tell them.
///
/// # Errors
///
/// The kernel does not list them.
pub fn own_addresses() -> io::Result<BTreeSet<IpAddr>> {
    let addresses = getifaddrs()?.filter_map(|entry| {
        let address = entry.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(addresses.filter(|ip| is_node_address(*ip)).collect())
}
