//! The socket hooks: processes that ask a frontend talk to a backend from the start.
//!
//! The node's own processes have no ingress hook that their packets would pass. So their system
//! calls are translated: `connect` and `sendmsg` ([`ask`]) name a backend in place of the frontend,
//! `recvmsg` and `getpeername` ([`answer`]) name the frontend again. What comes of it are direct
//! connections to backends, which the packets' hooks leave alone.
//!
//! These hooks run in processes, which packets' hooks interrupt: nothing here uses the desk.

mod answer;
mod ask;

use aya_ebpf::programs::SockAddrContext;
use svclb_common::{
    address::{Address, V4, V6},
    tuple::{TCP, UDP},
};

pub use answer::{PeerName, Receive};
pub use ask::{Connect, Send};

use crate::{config, maps::Tables, raw::Socket};

/// The action of a hook that lets the system call go on.
const PROCEED: i32 = 1;
/// The action of a hook that lets it fail.
const FAIL: i32 = 0;

/// A system call that a process makes.
pub trait Call {
    /// Handles the call of a process that svclb serves; returns the hook's action.
    fn handle<N: Name>(socket: &mut Socket) -> i32;
}

/// How a hook names a socket's peer.
pub trait Name {
    /// The address that is meant.
    type Address: Tables;

    /// The address that the hook names.
    fn get(socket: &Socket) -> Self::Address;
    /// Names another one.
    fn set(socket: &mut Socket, address: &Self::Address);
}

/// A name of IPv4.
struct Ipv4;
/// A name of IPv6.
struct Ipv6;
/// An IPv4 address in a name of IPv6.
struct Mapped;

impl Name for Ipv4 {
    type Address = V4;

    #[inline(always)]
    fn get(socket: &Socket) -> V4 {
        socket.v4()
    }

    #[inline(always)]
    fn set(socket: &mut Socket, address: &V4) {
        socket.set_v4(address);
    }
}

impl Name for Ipv6 {
    type Address = V6;

    #[inline(always)]
    fn get(socket: &Socket) -> V6 {
        socket.v6()
    }

    #[inline(always)]
    fn set(socket: &mut Socket, address: &V6) {
        socket.set_v6(address);
    }
}

impl Name for Mapped {
    type Address = V4;

    #[inline(always)]
    fn get(socket: &Socket) -> V4 {
        V4::from_word(socket.v6().word(3))
    }

    #[inline(always)]
    fn set(socket: &mut Socket, address: &V4) {
        socket.set_v6(&V6::v4_mapped(address));
    }
}

/// Handles a call at a hook of IPv4.
#[inline(always)]
pub fn ipv4<C: Call>(context: &SockAddrContext) -> i32 {
    let mut socket = Socket::new(context);
    if is_served(&socket) { C::handle::<Ipv4>(&mut socket) } else { PROCEED }
}

/// Handles a call at a hook of IPv6.
#[inline(always)]
pub fn ipv6<C: Call>(context: &SockAddrContext) -> i32 {
    let mut socket = Socket::new(context);
    if !is_served(&socket) {
        PROCEED
    } else if socket.v6().is_v4_mapped() {
        C::handle::<Mapped>(&mut socket)
    } else {
        C::handle::<Ipv6>(&mut socket)
    }
}

/// Whether svclb translates the calls of this socket.
#[inline(always)]
fn is_served(socket: &Socket) -> bool {
    let protocol = socket.protocol();
    (protocol == u32::from(TCP) || protocol == u32::from(UDP))
        && (config::all_sockets() || is_of_node(socket))
}

/// Whether the socket is in the node's own network namespace.
#[inline(always)]
fn is_of_node(socket: &Socket) -> bool {
    socket.netns() == config::node_netns()
}
