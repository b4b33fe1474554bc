//! Flows brought to where a test wants them.

use std::net::SocketAddr;

use svclb::plan::operation::Protocol::{self, Sctp, Tcp, Udp};
use svclb_tests::{
    packet::flags,
    programs::{
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{answer, opening, pass, reply_to, segment};

/// Opens a connection, or a stream of datagrams: the client has gone on after an answer. Returns
/// who answers.
pub(crate) fn establish(
    programs: &Programs,
    protocol: Protocol,
    client: SocketAddr,
    vip: SocketAddr,
) -> SocketAddr {
    let backend = answered(programs, protocol, client, vip);
    go_on(programs, protocol, client, vip, backend);
    backend
}

/// Opens a flow that was answered, and no more. Returns who answers.
pub(crate) fn answered(
    programs: &Programs,
    protocol: Protocol,
    client: SocketAddr,
    vip: SocketAddr,
) -> SocketAddr {
    let between = pass(programs, Ingress, &opening(protocol, client, vip));
    pass(programs, Egress, &reply_to(protocol, &between));
    between.dst
}

/// A packet each way in the middle of a flow arrives where it belongs.
pub(crate) fn go_on(
    programs: &Programs,
    protocol: Protocol,
    client: SocketAddr,
    vip: SocketAddr,
    backend: SocketAddr,
) {
    let packet = |src, dst| match protocol {
        Tcp => segment(src, dst, flags::ACK),
        Udp | Sctp => answer(protocol, src, dst),
    };
    let seen = pass(programs, Ingress, &packet(client, vip));
    assert_eq!((seen.src, seen.dst), (client, backend));
    let seen = pass(programs, Egress, &packet(backend, client));
    assert_eq!((seen.src, seen.dst), (vip, client));
}
