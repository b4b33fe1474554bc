//! Calls by which a process is told who answers: `recvmsg` and `getpeername`.

use svclb_common::{outcome::Outcome, socket::SocketKey};

use super::{Call, Name, PROCEED};
use crate::{
    maps::{self, Tables},
    raw::Socket,
    report,
};

/// A process is told where a datagram came from.
pub struct Receive;

impl Call for Receive {
    #[inline(always)]
    fn handle<N: Name>(socket: &mut Socket) -> i32 {
        // An endpoint that is gone is in the probe for long enough to have answered.
        if maps::concern(&N::get(socket)).backend {
            name_frontend::<N>(socket, Outcome::SocketReceived);
        }
        PROCEED
    }
}

/// A process is told its socket's peer. A connection may outlive its endpoint's place in the probe.
pub struct PeerName;

impl Call for PeerName {
    #[inline(always)]
    fn handle<N: Name>(socket: &mut Socket) -> i32 {
        name_frontend::<N>(socket, Outcome::SocketPeerNamed);
        PROCEED
    }
}

/// Names the frontend that the socket has asked, if the peer is a backend that it was given.
#[inline(always)]
fn name_frontend<N: Name>(socket: &mut Socket, outcome: Outcome) {
    let key = SocketKey::answering(socket.cookie(), N::get(socket), socket.port());
    if let Some(frontend) = N::Address::socket_peer(&key) {
        N::set(socket, &frontend.address);
        socket.set_port(frontend.port);
        report::count_at_socket(outcome);
    }
}
