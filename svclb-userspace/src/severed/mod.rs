//! Tells both ends of a connection whose endpoint has vanished.
//!
//! The kernel programs answer whatever an end sends with a reset. But a client that waits for a
//! response sends nothing: it is made to. A segment that cannot be right, in the name of the other
//! end, has it answer with the numbers that it expects, and the reset that this brings it carries
//! exactly those: no other would end the connection (RFC 5961, section 3.2).

mod segment;

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket,
    },
};
use segment::{Segment, probes};

use crate::flow_table::FlowRecord;

/// How many connections are looked after in one call; the next goes on with the others.
const AT_ONCE: usize = 4096;

/// Sends in the name of others.
#[derive(Debug)]
pub struct Teller {
    v4: OwnedFd,
    v6: OwnedFd,
    next: AtomicUsize,
}

impl Teller {
    /// One that sends from this network namespace.
    ///
    /// # Errors
    ///
    /// Fails if the kernel makes no raw socket (`CAP_NET_RAW`).
    pub fn new() -> Result<Self> {
        let raw = |family| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            // Sends whole packets with their headers, and receives nothing (`raw(7)`, `ipv6(7)`).
            socket(family, SockType::Raw, flags, SockProtocol::Raw)
        };
        let v4 = raw(AddressFamily::Inet).context("raw socket of IPv4")?;
        let v6 = raw(AddressFamily::Inet6).context("raw socket of IPv6")?;
        Ok(Self { v4, v6, next: AtomicUsize::new(0) })
    }

    /// Makes the ends of the severed connections speak that have not been told yet; how many
    /// segments were sent. One that the kernel does not send is left to the next time.
    pub fn tell(&self, severed: &[FlowRecord]) -> usize {
        let next = self.next.load(Ordering::Relaxed);
        let first = if severed.is_empty() { 0 } else { next % severed.len() };
        let (before, after) = severed.split_at(first);
        let turn = after.iter().chain(before).take(AT_ONCE);
        self.next.store(first.wrapping_add(AT_ONCE), Ordering::Relaxed);
        turn.flat_map(probes).filter(|probe| self.send(probe).is_ok()).count()
    }

    fn send(&self, probe: &Segment) -> Result<usize, Errno> {
        let packet = probe.packet().ok_or(Errno::EAFNOSUPPORT)?;
        let socket = if probe.dst.is_ipv4() { &self.v4 } else { &self.v6 };
        // A raw socket takes a port for a protocol.
        let to = SockaddrStorage::from(SocketAddr::new(probe.dst.ip(), 0));
        sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())
    }
}
