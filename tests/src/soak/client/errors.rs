//! Questions that get an error: by ICMP or ICMPv6, or a reset.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream, UdpSocket},
};

use nix::sys::socket::{
    setsockopt,
    sockopt::{Ipv4RecvErr, Ipv4Ttl, Ipv6RecvErr, Ipv6Ttl},
};

use super::{Client, PATIENCE, Target, udp};
use crate::soak::{message::Message, tally::Failure};

/// Hops at most: the router, the node, the endpoint's node, and the endpoint.
const HOPS: u8 = 5;

/// Bytes of a question.
const SIZE: u32 = 100;

/// One of each.
pub(super) fn all(client: &Client, target: &Target) {
    refused(client, target, "closed port", &datagram(target.closed));
    refused(client, target, "Service of nobody, UDP", &datagram(client.nobody));
    let tcp = TcpStream::connect_timeout(&client.nobody, PATIENCE).map(drop);
    refused(client, target, "Service of nobody, TCP", &tcp);
    hops(client, target);
}

/// A datagram that somebody refuses.
fn datagram(at: SocketAddr) -> io::Result<()> {
    let socket = udp::connect(at)?;
    socket.send(b"anybody?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

/// Counts a question that must have been refused.
fn refused(client: &Client, target: &Target, what: &str, told: &io::Result<()>) {
    let conversation = &mut client.converse(target);
    conversation.question(SIZE);
    match told {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => answered(client),
        told => conversation.failed(Failure::Other, &format!("{what}: {told:?}")),
    }
}

/// As traceroute does it: each hop tells that the datagram has died there, up to the endpoint.
fn hops(client: &Client, target: &Target) {
    for ttl in 1..=HOPS {
        let mut conversation = client.converse(target);
        let question = conversation.question(SIZE);
        match ask(target.at, &question, ttl) {
            Ok(Ok(answer)) => {
                if let Err(error) = conversation.take(&question, &answer) {
                    conversation.failed(Failure::Other, &format!("hop {ttl}: {error:#}"));
                }
                return;
            }
            Err(error) if error.kind() == ErrorKind::HostUnreachable => answered(client),
            Err(error) if is_own_node(&error, target.at, ttl) => answered(client),
            Ok(Err(error)) => {
                return conversation.failed(Failure::Other, &format!("hop {ttl}: {error:#}"));
            }
            Err(error) => {
                return conversation.failed(Failure::Other, &format!("hop {ttl}: {error}"));
            }
        }
    }
    client.converse(target).failed(Failure::Other, &format!("no endpoint within {HOPS} hops"));
}

/// Whether nothing is heard of a hop that may be the client's own node: behind another node's
/// NodePort it may be passed again, and its error comes back to it from outside, under its own
/// address, which IPv4 takes for forged.
fn is_own_node(error: &io::Error, at: SocketAddr, ttl: u8) -> bool {
    const AGAIN: u8 = 3;
    error.kind() == ErrorKind::WouldBlock && at.is_ipv4() && ttl == AGAIN
}

fn ask(at: SocketAddr, question: &Message, ttl: u8) -> io::Result<anyhow::Result<Message>> {
    let socket = udp::connect(at)?;
    live(&socket, at, ttl)?;
    udp::answer(&socket, question)
}

/// Lets datagrams die after so many hops, and the socket hear of it.
fn live(socket: &UdpSocket, at: SocketAddr, ttl: u8) -> io::Result<()> {
    let ttl = i32::from(ttl);
    if at.is_ipv4() {
        setsockopt(socket, Ipv4RecvErr, &true)?;
        setsockopt(socket, Ipv4Ttl, &ttl)?;
    } else {
        setsockopt(socket, Ipv6RecvErr, &true)?;
        setsockopt(socket, Ipv6Ttl, &ttl)?;
    }
    Ok(())
}

fn answered(client: &Client) {
    client.shared.tally.answered(client.kind, client.family);
}
