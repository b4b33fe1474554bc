//! Where packets go that no proxy touches: a machine that has all addresses that are asked, so that
//! "not touched" and "dropped" look different.

use std::net::SocketAddr;

use anyhow::Result;

use crate::lab::{Dual, Family, Lab, Process, Station, address};

/// The name that its answers carry.
const NAME: &str = "elsewhere";

/// No answers to pings.
const NO_ECHO: &[(&str, &str)] =
    &[("net/ipv4/icmp_echo_ignore_all", "1"), ("net/ipv6/icmp/echo_ignore_all", "1")];

/// Its own addresses on the nodes' LAN are beside the control plane's.
fn own() -> Dual {
    let Dual { v4, v6 } = address::control_plane();
    let [a, b, c, last] = v4.octets();
    Dual { v4: [a, b, c, last - 1].into(), v6: (v6.to_bits() - 1).into() }
}

/// The machine, with a server at every address.
#[derive(Debug)]
pub(super) struct Elsewhere {
    _server: Process,
    // After what runs on it.
    _station: Station,
}

impl Elsewhere {
    /// Gives a machine the addresses with their ports, leads the first node's packets to them there
    /// and those of the client outside to that node, from where they go on.
    pub(super) fn join(lab: &Lab, asked: &[(Dual, u16)]) -> Result<Self> {
        let station = lab.add_station(NAME, own())?;
        let node = lab.node(1);
        // An echo is no answer of a server.
        station.netns().sysctls(NO_ECHO)?;
        let mut hosts: Vec<Dual> = asked.iter().map(|(ip, _port)| *ip).collect();
        hosts.dedup();
        station.netns().ip(hosts.iter().map(|ip| addresses(*ip)).collect::<String>())?;
        // Replies take the way that requests have come.
        let clients = node.pods.iter().map(|pod| pod.ip).chain([lab.on_lan().ip]);
        station.netns().ip(clients.map(|ip| routes(ip, node.ip)).collect::<String>())?;
        node.netns().ip(hosts.iter().map(|ip| routes(*ip, own())).collect::<String>())?;
        let outside = lab.on_lan().netns();
        outside.ip(hosts.iter().map(|ip| routes(*ip, node.ip)).collect::<String>())?;
        let at = |(ip, port): &(Dual, u16)| Family::BOTH.map(|family| ip.socket(family, *port));
        let sockets: Vec<SocketAddr> = asked.iter().flat_map(at).collect();
        Ok(Self { _server: station.serve(NAME, &sockets)?, _station: station })
    }
}

fn addresses(ip: Dual) -> String {
    let Dual { v4, v6 } = ip;
    format!("addr add {v4}/32 dev lo\naddr add {v6}/128 dev lo nodad\n")
}

fn routes(to: Dual, via: Dual) -> String {
    let line = |family| format!("route add {} via {}\n", to.ip(family), via.ip(family));
    Family::BOTH.map(line).concat()
}
