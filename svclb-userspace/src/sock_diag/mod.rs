//! Sockets of a network namespace, found and closed through netlink (`sock_diag(7)`).
//!
//! `netlink-packet-sock-diag` has no word for closing one, so the two messages are written here.

mod message;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result, bail};
use message::{Id, Part};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
        socket,
    },
};

use crate::plan::operation::{Family, Protocol};

/// Which sockets are asked for: those that are connected, or about to be, to a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Question {
    /// The sockets' own family: those of IPv6 may talk IPv4.
    pub family: Family,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The peer's port.
    pub port: u16,
}

impl Question {
    fn family(&self) -> u8 {
        (match self.family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        }) as u8
    }

    /// The kernel's states of sockets with a peer, a bit each (net/tcp_states.h).
    fn states(&self) -> u32 {
        const ESTABLISHED: u32 = 1 << 1;
        /// SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING.
        const OTHERS: u32 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
        if self.protocol == Protocol::Tcp { ESTABLISHED | OTHERS } else { ESTABLISHED }
    }
}

/// A socket with a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connected {
    /// The peer; IPv4 is not in IPv6's clothes.
    pub peer: SocketAddr,
    /// The kernel's cookie of the socket.
    pub cookie: u64,
    id: Id,
}

/// Asks about the sockets of the network namespace that it was opened in.
#[derive(Debug)]
pub struct SockDiag {
    socket: OwnedFd,
}

impl SockDiag {
    /// Opens it in the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no `NETLINK_SOCK_DIAG`.
    pub fn open() -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkSockDiag;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol);
        Ok(Self { socket: socket.context("netlink socket (NETLINK_SOCK_DIAG)")? })
    }

    /// The sockets that a question is about.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not answer: it lacks `CONFIG_INET_DIAG` or `CONFIG_INET_UDP_DIAG`.
    pub fn connected(&self, question: &Question) -> Result<Vec<Connected>> {
        let mut found = Vec::new();
        self.ask(&message::dump(question), |socket| found.push(socket))
            .with_context(|| format!("list the {} sockets", question.protocol))?
            .with_context(|| format!("list the {} sockets (INET_DIAG)", question.protocol))?;
        Ok(found)
    }

    /// Closes a socket, as its owner will hear (`ECONNABORTED`); false if it is gone already.
    ///
    /// # Errors
    ///
    /// Fails without `CONFIG_INET_DIAG_DESTROY` in the kernel, or without `CAP_NET_ADMIN`.
    pub fn close(&self, question: &Question, socket: &Connected) -> Result<bool> {
        match self.ask(&message::destroy(question, &socket.id), |_| ())? {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error).context("close a socket (INET_DIAG_DESTROY)"),
        }
    }

    /// Sends a request and hears its answer to the end, which says what became of it.
    fn ask(&self, request: &[u8], mut take: impl FnMut(Connected)) -> Result<Result<(), Errno>> {
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), request, &kernel, MsgFlags::empty())
            .context("send to NETLINK_SOCK_DIAG")?;
        let mut buffer = vec![0; 65_536];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())
                .context("receive from NETLINK_SOCK_DIAG")?;
            if length == 0 {
                bail!("NETLINK_SOCK_DIAG has been shut down");
            }
            for part in message::parts(&buffer[..length]) {
                match part {
                    Part::Socket(found) => take(found),
                    Part::End(result) => return Ok(result),
                }
            }
        }
    }
}

/// Whether sockets can be closed here: one of this process's own is.
///
/// # Errors
///
/// Fails if not, or if there is no socket to be had.
pub fn probe() -> Result<()> {
    let peer = UdpSocket::bind("127.0.0.1:0").context("a socket on loopback")?;
    let own = UdpSocket::bind("127.0.0.1:0").context("a socket on loopback")?;
    let at = peer.local_addr()?;
    own.connect(at).context("a connection on loopback")?;
    let question = Question { family: Family::V4, protocol: Protocol::Udp, port: at.port() };
    let diag = SockDiag::open()?;
    let found = diag.connected(&question)?;
    let found = found.iter().find(|found| found.peer == at).context("a socket is not listed")?;
    diag.close(&question, found)?;
    Ok(())
}
