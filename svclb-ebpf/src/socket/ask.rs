//! Calls by which a process asks: `connect`, and `sendmsg` of a socket that is not connected.

use svclb_common::{
    address::Address,
    frontend::{Backend, Frontend, FrontendKey, frontend_flags},
    hash,
    outcome::Outcome,
    socket::{SocketKey, SocketPeer},
    tuple::Tuple,
};

use super::{Call, FAIL, Name, PROCEED, is_of_node};
use crate::{
    config,
    maps::{self, Tables},
    raw::{self, Socket},
    report,
    service::{self, NONE, Set},
};

/// A process connects a socket: decided once, remembered to name the peer.
pub struct Connect;

impl Call for Connect {
    #[inline(always)]
    fn handle<N: Name>(socket: &mut Socket) -> i32 {
        let asked = Asked::<N::Address>::of::<N>(socket);
        let frontend = asked.frontend(socket);
        if frontend.service == NONE.service {
            return asked.nobody_serves(socket);
        }
        if asked.is_left_to_packets(socket, frontend) {
            return PROCEED;
        }
        let Some((id, backend)) = asked.choose(frontend, raw::random()) else {
            return asked.reject(socket, frontend);
        };
        let kept = asked.remember_answering(frontend, id, backend);
        report::opened_at_socket(frontend.service, id);
        asked.give::<N>(socket, backend, kept, Outcome::SocketConnected)
    }
}

/// A process sends a datagram to an address: those of one socket stay at one backend as long as it
/// serves.
pub struct Send;

impl Call for Send {
    #[inline(always)]
    fn handle<N: Name>(socket: &mut Socket) -> i32 {
        let asked = Asked::<N::Address>::of::<N>(socket);
        let frontend = asked.frontend(socket);
        if frontend.service == NONE.service {
            // The kernel names the peer of an IPv6 socket that is connected to IPv4 at each datagram.
            return if socket.is_connected() { PROCEED } else { asked.nobody_serves(socket) };
        }
        if asked.is_left_to_packets(socket, frontend) {
            return PROCEED;
        }
        let known = asked.backend(frontend);
        let chosen = if known.is_some() { known } else { asked.choose(frontend, asked.hash()) };
        let Some((id, backend)) = chosen else { return asked.reject(socket, frontend) };
        let mut kept = asked.remember_answering(frontend, id, backend);
        if known.is_none() {
            kept &= asked.remember_backend(frontend, id, backend);
            report::opened_at_socket(frontend.service, id);
        }
        asked.give::<N>(socket, backend, kept, Outcome::SocketSent)
    }
}

/// Whom a socket asks.
struct Asked<A> {
    cookie: u64,
    address: A,
    port: u16,
    protocol: u8,
}

impl<A: Tables> Asked<A> {
    #[inline(always)]
    fn of<N: Name<Address = A>>(socket: &Socket) -> Self {
        let named = N::get(socket);
        // No address is the host's own to the kernel. (Among frontends it is the node's ports.)
        let address = if named.is_any() { A::LOOPBACK } else { named };
        let protocol = socket.protocol() as u8;
        Self { cookie: socket.cookie(), address, port: socket.port(), protocol }
    }

    /// The frontend that is asked, or [`NONE`].
    #[inline(always)]
    fn frontend(&self, socket: &Socket) -> Frontend {
        let Self { address, port, protocol, .. } = self;
        if address.is_loopback() {
            // Another namespace's loopback is not the node's.
            if !is_of_node(socket) || !A::has_node_ports(&A::LOOPBACK) {
                return NONE;
            }
            return A::frontend(&FrontendKey::node_port(*port, *protocol)).unwrap_or(NONE);
        }
        if !maps::concern(address).frontend {
            return NONE;
        }
        service::frontend(address, *port, *protocol, || A::has_node_ports(address))
    }

    /// The backend that this socket's datagrams to the frontend go to, if it still serves.
    #[inline(always)]
    fn backend(&self, frontend: Frontend) -> Option<(u32, &'static Backend<A>)> {
        let known = A::socket_peer(&self.asked_key())?;
        let id = known.backend;
        let set = set_for(frontend);
        if !service::serves(frontend.service, id, set, &known.address, known.port) {
            return None;
        }
        A::backend(id).map(|backend| (id, backend))
    }

    /// Whether the packets' hooks decide: they know the client's address, which is not known here.
    /// Pods pass them; of the node's own packets, egress lets none pass that must not.
    #[inline(always)]
    fn is_left_to_packets(&self, socket: &Socket, frontend: Frontend) -> bool {
        let guarded = frontend.flags & frontend_flags::GUARDED != 0;
        if is_of_node(socket) {
            return guarded && !service::admits(frontend, &node_address::<A>());
        }
        guarded || service::has_affinity(frontend.service)
    }

    /// The backend that serves the socket.
    #[inline(always)]
    fn choose(&self, frontend: Frontend, hash: u32) -> Option<(u32, &'static Backend<A>)> {
        let client = node_address::<A>();
        let id = service::choose(frontend.service, set_for(frontend), hash, &client);
        if id == 0 {
            return None;
        }
        A::backend(id).map(|backend| (id, backend))
    }

    /// Leads to the same choice again, should the socket be forgotten.
    #[inline(always)]
    fn hash(&self) -> u32 {
        hash::socket(config::hash_seed(), self.cookie, &self.address, self.port)
    }

    /// Remembers where the next datagrams go; false if there is no room.
    #[inline(always)]
    fn remember_backend(&self, frontend: Frontend, id: u32, backend: &Backend<A>) -> bool {
        let peer = peer(backend.address, backend.port, frontend, id);
        A::set_socket_peer(&self.asked_key(), &peer)
    }

    /// Remembers whom the backend's answers come from; false if there is no room. Where two
    /// frontends share a backend, a socket's last question is what is answered.
    #[inline(always)]
    fn remember_answering(&self, frontend: Frontend, id: u32, backend: &Backend<A>) -> bool {
        let key = SocketKey::answering(self.cookie, backend.address, backend.port);
        let peer = peer(self.address, self.port, frontend, id);
        A::socket_peer(&key) == Some(peer) || A::set_socket_peer(&key, &peer)
    }

    /// Nobody's frontend is asked: should a backend be asked directly, it answers in its own name.
    #[inline(always)]
    fn forget_answering(&self) {
        if !maps::concern(&self.address).backend {
            return;
        }
        let key = SocketKey::answering(self.cookie, self.address, self.port);
        if A::socket_peer(&key).is_some() {
            A::remove_socket_peer(&key);
        }
    }

    /// Names the backend in place of the frontend.
    #[inline(always)]
    fn give<N: Name<Address = A>>(
        &self,
        socket: &mut Socket,
        backend: &Backend<A>,
        kept: bool,
        outcome: Outcome,
    ) -> i32 {
        N::set(socket, &backend.address);
        socket.set_port(backend.port);
        report::count_at_socket(outcome);
        if !kept {
            report::count_at_socket(Outcome::SocketUnrecorded);
        }
        PROCEED
    }

    /// The verdict where nobody serves.
    #[inline(always)]
    fn reject(&self, socket: &mut Socket, frontend: Frontend) -> i32 {
        match service::why_none(frontend.service, set_for(frontend)) {
            // The caller tries again, into the void: what it sends is dropped at egress.
            Outcome::NoLocalEndpoint => PROCEED,
            _ => self.refuse(socket),
        }
    }

    /// No frontend is asked: another port of a ClusterIP is refused, everything else goes on.
    #[inline(always)]
    fn nobody_serves(&self, socket: &mut Socket) -> i32 {
        if maps::concern(&self.address).frontend && service::is_cluster_ip(&self.address) {
            return self.refuse(socket);
        }
        self.forget_answering();
        PROCEED
    }

    /// The verdict where nobody will ever answer: the caller knows at once.
    #[inline(always)]
    fn refuse(&self, socket: &mut Socket) -> i32 {
        let Self { address, port, protocol, .. } = self;
        report::refused(socket, &Tuple::received(*protocol, A::ANY, 0, *address, *port));
        socket.set_refused();
        FAIL
    }

    #[inline(always)]
    fn asked_key(&self) -> SocketKey<A> {
        SocketKey::asked(self.cookie, self.address, self.port)
    }
}

/// The set that serves sockets: they are the node's or its pods'.
#[inline(always)]
fn set_for(frontend: Frontend) -> Set {
    service::set_for(frontend, || true)
}

/// The address that stands for the node's own processes.
#[inline(always)]
fn node_address<A: Tables>() -> A {
    maps::device(0).map_or(A::ANY, |node| A::masquerade_address(&node))
}

#[inline(always)]
fn peer<A: Address>(address: A, port: u16, frontend: Frontend, backend: u32) -> SocketPeer<A> {
    SocketPeer { address, port, pad: [0; 2], service: frontend.service, backend }
}
