//! The socket at a hook, and the peer that its owner names.

use core::ffi::c_void;

use aya_ebpf::{bindings::bpf_sock_addr, helpers::generated as helpers, programs::SockAddrContext};
use svclb_common::address::{Address, V4, V6};

/// `ECONNREFUSED` of the kernel's error numbers.
const ECONNREFUSED: i32 = 111;

/// The socket at a hook. The peer is at the IPv4 or the IPv6 place, as the hook's name says: the
/// verifier refuses the other one.
pub struct Socket {
    context: *mut bpf_sock_addr,
}

/// Reads a field: the kernel allows the access as it is written, not what a compiler may make of
/// several.
macro_rules! read {
    ($socket:ident, $($field:tt)+) => {
        // SAFETY: the context is valid while the program runs.
        unsafe { (&raw const (*$socket.context).$($field)+).read_volatile() }
    };
}

macro_rules! write {
    ($socket:ident, $value:expr, $($field:tt)+) => {{
        let value = $value;
        // SAFETY: as above.
        unsafe { (&raw mut (*$socket.context).$($field)+).write_volatile(value) }
    }};
}

impl Socket {
    /// The socket of a hook.
    #[inline(always)]
    pub fn new(context: &SockAddrContext) -> Self {
        Self { context: context.sock_addr }
    }

    /// IANA protocol number.
    #[inline(always)]
    pub fn protocol(&self) -> u32 {
        read!(self, protocol)
    }

    /// The kernel's cookie of the socket: no other has it until the machine restarts.
    #[inline(always)]
    pub fn cookie(&self) -> u64 {
        // SAFETY: the context is valid.
        unsafe { helpers::bpf_get_socket_cookie(self.as_ptr()) }
    }

    /// The kernel's cookie of the network namespace that the socket is in.
    #[inline(always)]
    pub fn netns(&self) -> u64 {
        // SAFETY: as above.
        unsafe { helpers::bpf_get_netns_cookie(self.as_ptr()) }
    }

    /// Whether the socket is connected.
    #[inline(always)]
    pub fn is_connected(&self) -> bool {
        /// `TCP_ESTABLISHED` of the kernel's TCP states, which datagram sockets have as well.
        const ESTABLISHED: u32 = 1;
        // SAFETY: the context is valid, and so is the socket in it.
        unsafe { (*(*self.context).__bindgen_anon_1.sk).state == ESTABLISHED }
    }

    /// The peer's port, host order.
    #[inline(always)]
    pub fn port(&self) -> u16 {
        u16::from_be(read!(self, user_port) as u16)
    }

    /// Names another port.
    #[inline(always)]
    pub fn set_port(&mut self, port: u16) {
        write!(self, u32::from(port.to_be()), user_port);
    }

    /// The peer's address at a hook of IPv4.
    #[inline(always)]
    pub fn v4(&self) -> V4 {
        V4::from_word(read!(self, user_ip4))
    }

    /// Names another address at a hook of IPv4.
    #[inline(always)]
    pub fn set_v4(&mut self, address: &V4) {
        write!(self, address.word(0), user_ip4);
    }

    /// The peer's address at a hook of IPv6.
    #[inline(always)]
    pub fn v6(&self) -> V6 {
        V6::from_words([
            read!(self, user_ip6[0]),
            read!(self, user_ip6[1]),
            read!(self, user_ip6[2]),
            read!(self, user_ip6[3]),
        ])
    }

    /// Names another address at a hook of IPv6.
    #[inline(always)]
    pub fn set_v6(&mut self, address: &V6) {
        write!(self, address.word(0), user_ip6[0]);
        write!(self, address.word(1), user_ip6[1]);
        write!(self, address.word(2), user_ip6[2]);
        write!(self, address.word(3), user_ip6[3]);
    }

    /// Lets the system call fail with ECONNREFUSED, where the hook's action says that it fails.
    #[inline(always)]
    pub fn set_refused(&mut self) {
        // SAFETY: no pointers.
        unsafe { helpers::bpf_set_retval(-ECONNREFUSED) };
    }

    /// The socket as the kernel's helpers take it.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut c_void {
        self.context.cast()
    }
}
