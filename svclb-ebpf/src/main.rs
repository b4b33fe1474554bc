//! svclb's kernel programs: two hooks on every device, those of sockets, and the sweep of flows
//! that are over.
//!
//! A packet meets the modules from top to bottom: `packet` (parse), `flow` (known?), `decide`
//! (whose is it?), `flow::open` (remember), `packet::rewrite`. `hook`, `ingress` and `egress` read as
//! that story. What became of a datagram's first fragment, its others are given by `fragment`. A
//! process that asks has its own way: `socket`, whose endpoints come from `service` as packets' do.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod affinity;
mod answer;
mod bridge;
mod config;
mod decide;
mod desk;
mod egress;
mod error;
mod flow;
mod fragment;
mod hook;
mod ingress;
mod maps;
mod packet;
mod raw;
mod report;
mod service;
mod socket;

use aya_ebpf::{
    bindings::tcx_action_base::TCX_NEXT,
    macros::{cgroup_sock_addr, classifier},
    programs::{SockAddrContext, TcContext},
};

use crate::{
    egress::Egress,
    ingress::Ingress,
    raw::Skb,
    socket::{Connect, PeerName, Receive, Send},
};

/// Length of an Ethernet header; devices without one hand over the network header first.
const ETHERNET: u32 = 14;

/// Ingress of a device with Ethernet headers.
#[classifier]
pub fn ingress_eth(context: TcContext) -> i32 {
    hook::run::<Ingress>(Skb::new(&context, ETHERNET))
}

/// Ingress of a device without a link header (wireguard, tun, ipip, sit).
#[classifier]
pub fn ingress_ip(context: TcContext) -> i32 {
    hook::run::<Ingress>(Skb::new(&context, 0))
}

/// Egress of a device with Ethernet headers.
#[classifier]
pub fn egress_eth(context: TcContext) -> i32 {
    hook::run::<Egress>(Skb::new(&context, ETHERNET))
}

/// Egress of a device without a link header.
#[classifier]
pub fn egress_ip(context: TcContext) -> i32 {
    hook::run::<Egress>(Skb::new(&context, 0))
}

/// A process connects a socket: IPv4.
#[cgroup_sock_addr(connect4)]
pub fn connect4(context: SockAddrContext) -> i32 {
    socket::ipv4::<Connect>(&context)
}

/// A process connects a socket: IPv6. (In IPv6's clothes, IPv4 too.)
#[cgroup_sock_addr(connect6)]
pub fn connect6(context: SockAddrContext) -> i32 {
    socket::ipv6::<Connect>(&context)
}

/// A process sends a datagram from an unconnected socket: IPv4.
#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(context: SockAddrContext) -> i32 {
    socket::ipv4::<Send>(&context)
}

/// A process sends a datagram from an unconnected socket: IPv6.
#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(context: SockAddrContext) -> i32 {
    socket::ipv6::<Send>(&context)
}

/// A process is told where a datagram came from: IPv4.
#[cgroup_sock_addr(recvmsg4)]
pub fn recvmsg4(context: SockAddrContext) -> i32 {
    socket::ipv4::<Receive>(&context)
}

/// A process is told where a datagram came from: IPv6.
#[cgroup_sock_addr(recvmsg6)]
pub fn recvmsg6(context: SockAddrContext) -> i32 {
    socket::ipv6::<Receive>(&context)
}

/// A process is told its socket's peer: IPv4.
#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(context: SockAddrContext) -> i32 {
    socket::ipv4::<PeerName>(&context)
}

/// A process is told its socket's peer: IPv6.
#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(context: SockAddrContext) -> i32 {
    socket::ipv6::<PeerName>(&context)
}

/// Never attached: the agent runs it with `BPF_PROG_TEST_RUN` to free expired flows early, and to
/// end those whose endpoint or frontend is gone. The packet is as [`svclb_common::sweep`] says.
#[classifier]
pub fn sweep(context: TcContext) -> i32 {
    flow::sweep::run(Skb::new(&context, 0));
    TCX_NEXT
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Unreachable in a program that the verifier has accepted: it would not end.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
