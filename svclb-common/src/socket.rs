//! What the socket hooks remember: which backend a socket was given, and for which frontend.
//!
//! A connected socket needs one entry, to tell its owner whom it asked. An unconnected one needs
//! two for each frontend that it talks to: one that keeps it at its backend, and one that gives the
//! backend's answers the address that was asked.

use crate::{
    address::{Address, V4, V6},
    plain_data,
};

/// Which of a socket's peers a key names.
pub mod peer {
    /// The frontend that was asked; the entry says which backend answers.
    pub const ASKED: u8 = 1;
    /// The backend that answers; the entry says which frontend was asked.
    pub const ANSWERING: u8 = 2;
}

/// A socket and one of its peers. Key of `sockets4`/`sockets6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketKey<A> {
    /// The kernel's cookie of the socket: the lower half, the upper half. (As one number, it would
    /// leave a gap at the end of the IPv6 key.)
    pub cookie: [u32; 2],
    /// The peer's address.
    pub address: A,
    /// The peer's port, host order.
    pub port: u16,
    /// One of [`peer`].
    pub peer: u8,
    /// Always zero.
    pub pad: u8,
}

const _: () = assert!(size_of::<SocketKey<V4>>() == 16 && size_of::<SocketKey<V6>>() == 28);

impl<A: Address> SocketKey<A> {
    /// The key by which a socket that asks a frontend finds its backend.
    #[inline(always)]
    pub fn asked(cookie: u64, address: A, port: u16) -> Self {
        Self::new(cookie, address, port, peer::ASKED)
    }

    /// The key by which a socket that hears from a backend finds the frontend it has asked.
    #[inline(always)]
    pub fn answering(cookie: u64, address: A, port: u16) -> Self {
        Self::new(cookie, address, port, peer::ANSWERING)
    }

    #[inline(always)]
    fn new(cookie: u64, address: A, port: u16, peer: u8) -> Self {
        let cookie = [cookie as u32, (cookie >> 32) as u32];
        Self { cookie, address, port, peer, pad: 0 }
    }
}

/// The other peer: the backend of a frontend, or the frontend of a backend. Value of
/// `sockets4`/`sockets6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketPeer<A> {
    /// Its address.
    pub address: A,
    /// Its port, host order.
    pub port: u16,
    /// Always zero.
    pub pad: [u8; 2],
    /// The service that was asked.
    pub service: u32,
    /// The backend that answers.
    pub backend: u32,
}

const _: () = assert!(size_of::<SocketPeer<V4>>() == 16 && size_of::<SocketPeer<V6>>() == 28);
plain_data!(SocketKey<V4>, SocketKey<V6>, SocketPeer<V4>, SocketPeer<V6>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontend_and_a_backend_at_one_address_are_two_keys() {
        let asked = SocketKey::asked(7, V4::ANY, 80);
        assert_ne!(asked, SocketKey::answering(7, V4::ANY, 80));
        assert_ne!(asked, SocketKey::asked(7 | 1 << 32, V4::ANY, 80), "all of the cookie counts");
    }
}
