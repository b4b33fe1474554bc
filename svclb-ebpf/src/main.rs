//! svclb's kernel programs: two hooks on every device, and the sweep of expired flows.
//!
//! A packet meets the modules from top to bottom: `packet` (parse), `flow` (known?), `decide`
//! (whose is it?), `flow::open` (remember), `packet::rewrite`. `ingress` and `egress` read as that
//! story.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod bridge;
mod config;
mod decide;
mod desk;
mod egress;
mod flow;
mod ingress;
mod maps;
mod packet;
mod raw;
mod report;

use aya_ebpf::{bindings::tcx_action_base::TCX_NEXT, macros::classifier, programs::TcContext};
use svclb_common::address::{V4, V6};

use crate::{
    packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6},
    raw::Skb,
};

/// Length of an Ethernet header; devices without one hand over the network header first.
const ETHERNET: u32 = 14;

/// Ingress of a device with Ethernet headers.
#[classifier]
pub fn ingress_eth(context: TcContext) -> i32 {
    ingress(Skb::new(&context, ETHERNET))
}

/// Ingress of a device without a link header (wireguard, tun, ipip, sit).
#[classifier]
pub fn ingress_ip(context: TcContext) -> i32 {
    ingress(Skb::new(&context, 0))
}

/// Egress of a device with Ethernet headers.
#[classifier]
pub fn egress_eth(context: TcContext) -> i32 {
    egress(Skb::new(&context, ETHERNET))
}

/// Egress of a device without a link header.
#[classifier]
pub fn egress_ip(context: TcContext) -> i32 {
    egress(Skb::new(&context, 0))
}

/// Never attached: the agent runs it with `BPF_PROG_TEST_RUN` to free expired flows early. The
/// packet's first four bytes are the number of the first record to look at, in host order.
#[classifier]
pub fn sweep(context: TcContext) -> i32 {
    flow::sweep::run(&Skb::new(&context, 0));
    TCX_NEXT
}

#[inline(always)]
fn ingress(mut skb: Skb) -> i32 {
    match skb.protocol() {
        ETHERTYPE_IPV4 => ingress::run::<V4>(&mut skb),
        ETHERTYPE_IPV6 => ingress::run::<V6>(&mut skb),
        _ => TCX_NEXT,
    }
}

#[inline(always)]
fn egress(mut skb: Skb) -> i32 {
    match skb.protocol() {
        ETHERTYPE_IPV4 => egress::run::<V4>(&mut skb),
        ETHERTYPE_IPV6 => egress::run::<V6>(&mut skb),
        _ => TCX_NEXT,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Unreachable in a program that the verifier has accepted: it would not end.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
