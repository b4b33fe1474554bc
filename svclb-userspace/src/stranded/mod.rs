//! Sockets that were given an endpoint which has gone since.
//!
//! The socket hooks name a backend as a process connects; from then on the connection is the
//! process's and the backend's alone. When the backend goes, nobody would tell the process: its
//! packets pass no flow that could be reset. So the agent closes the socket. It knows its own by
//! `sockets4` and `sockets6`, where the hooks have noted each by its cookie and the backend: who
//! connected to a pod directly has no note, and is left alone.
//!
//! A note that made room for others is no help; its socket is not found here.

mod places;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
pub use places::Places;
use svclb_common::{
    address::{Address, V4, V6},
    frontend::backend_flags,
    socket::{SocketKey, SocketPeer},
};

use crate::{
    pins::Pins,
    plan::operation::{BackendEntry, Family, Protocol},
    sock_diag::{Connected, Question, SockDiag},
};

/// Backends that take no new connections, by id.
pub type Backends = BTreeMap<u32, BackendEntry>;

/// What was found of their sockets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// How many were closed.
    pub closed: usize,
    /// The backends of those that stay connected.
    pub live: HashSet<u32>,
}

/// Finds stranded sockets and closes them.
pub struct Stranded {
    v4: HashMap<MapData, SocketKey<V4>, SocketPeer<V4>>,
    v6: HashMap<MapData, SocketKey<V6>, SocketPeer<V6>>,
    places: Places,
}

impl Stranded {
    /// Looks for sockets at `places`.
    ///
    /// # Errors
    ///
    /// Fails, naming the map, if one is not pinned.
    pub fn new(pins: &Pins, places: Places) -> Result<Self> {
        Ok(Self { v4: pins.map("sockets4")?, v6: pins.map("sockets6")?, places })
    }

    /// Closes the sockets of these backends that nobody will ever answer. The cost is that of the
    /// sockets with a peer at the backends' ports. Blocks.
    ///
    /// # Errors
    ///
    /// Fails if the kernel lists no sockets, or closes none.
    pub fn close(&self, backends: &Backends) -> Result<Found> {
        let mut found = Found::default();
        let questions = questions(backends);
        if !questions.is_empty() {
            self.places.visit(|diag| self.close_here(diag, &questions, backends, &mut found))?;
        }
        Ok(found)
    }

    fn close_here(
        &self,
        diag: &SockDiag,
        questions: &BTreeSet<Question>,
        backends: &Backends,
        found: &mut Found,
    ) -> Result<()> {
        let peers: HashSet<SocketAddr> = backends.values().map(|entry| entry.address).collect();
        for question in questions {
            for socket in diag.connected(question)? {
                if !peers.contains(&socket.peer) {
                    continue;
                }
                let Some(id) = self.given(&socket) else { continue };
                let Some(entry) = backends.get(&id) else { continue };
                if entry.address != socket.peer || entry.protocol != question.protocol {
                    continue;
                }
                if !is_over(entry) {
                    found.live.insert(id);
                } else if diag.close(question, &socket)? {
                    found.closed += 1;
                }
            }
        }
        Ok(())
    }

    /// The backend that the socket was given in place of a frontend.
    fn given(&self, socket: &Connected) -> Option<u32> {
        match socket.peer.ip() {
            IpAddr::V4(ip) => given(&self.v4, socket, V4::from(ip)),
            IpAddr::V6(ip) => given(&self.v6, socket, V6::from(ip)),
        }
    }
}

fn given<A: Address>(
    map: &HashMap<MapData, SocketKey<A>, SocketPeer<A>>,
    socket: &Connected,
    ip: A,
) -> Option<u32>
where
    SocketKey<A>: Pod,
    SocketPeer<A>: Pod,
{
    let key = SocketKey::answering(socket.cookie, ip, socket.peer.port());
    map.get(&key, 0).ok().map(|peer| peer.backend)
}

/// Whether nothing is to be expected of a backend that takes no new connections: a connection is
/// served to its end where the endpoint is still there, a datagram asks for somebody who serves.
fn is_over(entry: &BackendEntry) -> bool {
    match entry.protocol {
        Protocol::Tcp => entry.flags & backend_flags::VANISHED != 0,
        Protocol::Udp => true,
        Protocol::Sctp => false,
    }
}

/// What to ask for the sockets of these backends: sockets of IPv6 may talk IPv4.
fn questions(backends: &Backends) -> BTreeSet<Question> {
    let of = |entry: &BackendEntry| {
        let (protocol, port) = (entry.protocol, entry.address.port());
        let families = match entry.address {
            SocketAddr::V4(_) => &[Family::V4, Family::V6][..],
            SocketAddr::V6(_) => &[Family::V6],
        };
        families.iter().map(move |family| Question { family: *family, protocol, port })
    };
    let served = backends.values().filter(|entry| entry.protocol != Protocol::Sctp);
    served.flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, protocol: Protocol, flags: u8) -> BackendEntry {
        let address = address.parse().expect("an address");
        BackendEntry { address, protocol, service: 1, flags, weight: 1 }
    }

    #[test]
    fn connections_end_with_their_endpoint_and_datagrams_with_its_service() {
        const VANISHED: u8 = backend_flags::VANISHED;
        for (protocol, flags, over) in [
            (Protocol::Tcp, 0, false),
            (Protocol::Tcp, VANISHED, true),
            (Protocol::Udp, 0, true),
            (Protocol::Udp, VANISHED, true),
        ] {
            assert_eq!(is_over(&entry("10.0.0.1:80", protocol, flags)), over, "{protocol}");
        }
    }

    #[test]
    fn each_port_is_asked_for_once_in_every_family_that_may_talk_to_it() {
        let backends = [
            entry("10.0.0.1:80", Protocol::Tcp, 0),
            entry("10.0.0.2:80", Protocol::Tcp, 0),
            entry("[fd00::1]:53", Protocol::Udp, 0),
            entry("10.0.0.1:80", Protocol::Sctp, 0),
        ];
        let asked = questions(&(1..).zip(backends).collect());
        let told: Vec<_> =
            asked.iter().map(|q| format!("{} {} {}", q.family, q.protocol, q.port)).collect();
        assert_eq!(told, ["IPv4 TCP 80", "IPv6 TCP 80", "IPv6 UDP 53"]);
    }
}
