//! The network namespace that this process is in.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use nix::{
    getsockopt_impl, libc,
    sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket, sockopt::GetStruct},
};

/// The socket option `SO_NETNS_COOKIE`, Linux 5.14 and later.
#[derive(Clone, Copy)]
struct Cookie;

getsockopt_impl!(Cookie, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, u64, GetStruct<u64>);

/// The kernel's cookie of the network namespace: no other has it until the machine restarts.
///
/// # Errors
///
/// Fails if the kernel makes no socket, or does not tell.
pub fn cookie() -> Result<u64> {
    let any = || {
        let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        getsockopt(&socket.as_fd(), Cookie)
    };
    any().context("the network namespace's cookie (SO_NETNS_COOKIE)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_stays_the_same() {
        let cookie = cookie().expect("a cookie");
        assert_ne!(cookie, 0);
        assert_eq!(cookie, super::cookie().expect("a cookie"));
    }
}
