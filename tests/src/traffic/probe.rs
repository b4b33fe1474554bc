//! What a client gets: an answer of somebody who saw it under some address, or which failure.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use serde::{Deserialize, Serialize};

use super::{conversation::Conversation, http::Answer};

/// How long silence is listened to before it counts as such. A refusal that only the second packet
/// brings needs more than a second.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_500);

/// A refusal that takes longer has waited for a packet to be sent again.
const LATE: Duration = Duration::from_millis(700);

/// What carries the question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Protocol {
    /// HTTP.
    Tcp,
    /// A datagram from a connected socket, which hears ICMP errors.
    Udp,
    /// An ICMP or ICMPv6 echo.
    Ping,
    /// As [`Protocol::Udp`], question and answer of more bytes than a packet holds.
    LargeUdp,
    /// As [`Protocol::Tcp`], on one connection before and after a change.
    HeldTcp,
    /// As [`Protocol::Udp`], from one socket before and after a change.
    HeldUdp,
    /// HTTP, answered by the proxy itself: how many endpoints the node has.
    Health,
}

impl Protocol {
    /// Those that servers answer.
    pub const SERVED: &[Self] = &[Self::Tcp, Self::Udp];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Ping => "ping",
            Self::LargeUdp => "large-udp",
            Self::HeldTcp => "held-tcp",
            Self::HeldUdp => "held-udp",
            Self::Health => "health",
        }
    }

    /// Whether one socket asks before and after a change.
    pub fn is_held(self) -> bool {
        matches!(self, Self::HeldTcp | Self::HeldUdp)
    }
}

/// What came of one question.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// A server answered.
    Answered {
        /// Its name.
        name: String,
        /// The client's address as it saw it.
        client: IpAddr,
    },
    /// An echo came back.
    Echoed,
    /// The proxy said this of the service's health.
    Healthy(String),
    /// The connection was refused at once.
    Refused,
    /// The connection was refused, but only when it was tried again after a second.
    RefusedLate,
    /// The connection, which was open, was reset.
    Reset,
    /// There is no way to the address, by somebody's word.
    Unreachable,
    /// The kernel does not let the client send.
    Forbidden,
    /// Nothing came back.
    Silent,
    /// Another failure, in the kernel's words.
    Failed(String),
}

impl Outcome {
    /// Whether the server of this name answered.
    pub fn is_of(&self, server: &str) -> bool {
        matches!(self, Self::Answered { name, .. } if name == server)
    }
}

/// Asks `dst` from a new socket each time, `tries` times or until it does not answer: the different
/// outcomes.
///
/// # Errors
/// What answers is not the lab's server.
pub fn ask(protocol: Protocol, dst: SocketAddr, tries: usize) -> Result<BTreeSet<Outcome>> {
    let mut outcomes = BTreeSet::new();
    for _ in 0..tries {
        let outcome = once(protocol, dst)?;
        let answered = matches!(outcome, Outcome::Answered { .. } | Outcome::Echoed);
        outcomes.insert(outcome);
        if !answered {
            break;
        }
    }
    Ok(outcomes)
}

fn once(protocol: Protocol, dst: SocketAddr) -> Result<Outcome> {
    let started = Instant::now();
    let told = match protocol {
        Protocol::Ping => ping(dst.ip()).map(|()| Outcome::Echoed),
        Protocol::Health => health(dst).map(Outcome::Healthy),
        _ => {
            return Conversation::open(protocol, dst).map_or_else(
                |error| Ok(failure(&error, started.elapsed())),
                |mut conversation| converse(&mut conversation),
            );
        }
    };
    Ok(told.unwrap_or_else(|error| failure(&error, started.elapsed())))
}

/// Asks once more in a conversation.
///
/// # Errors
/// What answers is not the lab's server.
pub fn converse(conversation: &mut Conversation) -> Result<Outcome> {
    let started = Instant::now();
    match conversation.ask() {
        Ok(text) => {
            let answer: Answer = serde_json::from_str(&text).context("not the lab's server")?;
            Ok(Outcome::Answered { name: answer.name, client: answer.client.ip() })
        }
        Err(error) => Ok(failure(&error, started.elapsed())),
    }
}

/// What a health check's port says: the status, and how many endpoints it counts.
fn health(dst: SocketAddr) -> io::Result<String> {
    let (status, body) = Conversation::open(Protocol::Tcp, dst)?.get()?;
    let said: serde_json::Value = serde_json::from_str(&body)?;
    Ok(format!("{status}, {} here", said["localEndpoints"]))
}

/// Sends an echo request and waits for its answer; the kernel does checksum and identifier.
fn ping(to: IpAddr) -> io::Result<()> {
    let (family, protocol, request) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128),
    };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol)?;
    // Only its calls are of use: connect, send and receive are the same for both.
    let socket = UdpSocket::from(socket);
    socket.connect((to, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&[request, 0, 0, 0, 0, 0, 0, 1])?;
    socket.recv(&mut [0; 64]).map(drop)
}

fn failure(error: &io::Error, after: Duration) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused if after < LATE => Outcome::Refused,
        ErrorKind::ConnectionRefused => Outcome::RefusedLate,
        ErrorKind::ConnectionReset => Outcome::Reset,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Outcome::Silent,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Outcome::Unreachable,
        ErrorKind::PermissionDenied => Outcome::Forbidden,
        _ => Outcome::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_closed_port_refuses_at_once() {
        for protocol in Protocol::SERVED {
            // Bound and gone again: nobody listens there.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
            assert_eq!(ask(*protocol, free, 3).unwrap(), BTreeSet::from([Outcome::Refused]));
        }
    }

    #[test]
    fn a_socket_that_says_nothing_is_silent() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let told = ask(Protocol::Udp, silent.local_addr().unwrap(), 1).unwrap();
        assert_eq!(told, BTreeSet::from([Outcome::Silent]));
    }

    #[test]
    fn a_refusal_after_a_second_is_late() {
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(failure(&refused, LATE), Outcome::RefusedLate);
        assert_eq!(failure(&refused, Duration::ZERO), Outcome::Refused);
    }
}
