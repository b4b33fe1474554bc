//! A raw socket that speaks SCTP's packets.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    errno::Errno,
    sys::socket::{SockaddrStorage, recvfrom},
};
use socket2::{Domain, Protocol, Socket, Type};
use svclb_common::tuple::SCTP;

use crate::packet::sctp::{CHECKSUM, Common, checksum};

/// How long [`Raw::receive`] waits for a packet.
pub(super) const SILENCE: Duration = Duration::from_millis(50);

/// Packets between a port of an address of this machine and anybody.
pub(super) struct Raw {
    socket: Socket,
    local: SocketAddr,
}

/// A packet that came in: from whom, its common header, and all of it.
pub(super) struct Received {
    pub(super) from: SocketAddr,
    pub(super) common: Common,
    pub(super) packet: Vec<u8>,
}

impl Raw {
    /// Opens it at `local`.
    pub(super) fn bind(local: SocketAddr) -> Result<Self> {
        let domain = if local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let protocol = Some(Protocol::from(i32::from(SCTP)));
        let socket = Socket::new(domain, Type::RAW, protocol).context("raw socket")?;
        socket.bind(&SocketAddr::new(local.ip(), 0).into()).with_context(|| format!("{local}"))?;
        socket.set_read_timeout(Some(SILENCE)).context("SO_RCVTIMEO")?;
        Ok(Self { socket, local })
    }

    /// Hears from that peer alone, of ICMP's errors too.
    pub(super) fn connect(&self, peer: IpAddr) -> Result<()> {
        let peer = SocketAddr::new(peer, 0);
        self.socket.connect(&peer.into()).with_context(|| format!("connect to {peer}"))
    }

    pub(super) fn send(&self, to: SocketAddr, tag: u32, chunks: &[u8]) -> Result<()> {
        let common = Common { sport: self.local.port(), dport: to.port(), tag };
        let at = SocketAddr::new(to.ip(), 0);
        let sent = self.socket.send_to(&common.packet(chunks), &at.into());
        sent.map(drop).with_context(|| format!("SCTP to {to}"))
    }

    /// The next packet to this port; none in a while of [`SILENCE`].
    ///
    /// # Errors
    /// Its checksum is wrong, or the socket says that the peer cannot be reached.
    pub(super) fn receive(&self) -> Result<Option<Received>> {
        let mut buffer = vec![0; 65_536];
        let (length, from) = match recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), &mut buffer)
        {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(std::io::Error::from(error)).context("SCTP answer"),
        };
        let packet =
            self.without_ip(&buffer[..length]).context("an IP header without SCTP")?.to_vec();
        let common = Common::of(&packet).context("SCTP header cut off")?;
        if common.dport != self.local.port() {
            return Ok(None);
        }
        ensure!(packet[CHECKSUM] == checksum(&packet), "wrong SCTP checksum: {packet:02x?}");
        let from = SocketAddr::new(from.and_then(ip).context("no sender")?, common.sport);
        Ok(Some(Received { from, common, packet }))
    }

    /// Raw sockets of IPv4 give the IP header, too.
    fn without_ip<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        match self.local.ip() {
            IpAddr::V4(_) => bytes.get(usize::from(bytes.first()? & 15) * 4..),
            IpAddr::V6(_) => Some(bytes),
        }
    }
}

fn ip(from: SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| v6.ip().into()))
}
