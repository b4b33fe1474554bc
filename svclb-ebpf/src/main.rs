//! svclb's kernel programs: two hooks on every device, and the sweep of expired flows.
//!
//! A packet meets the modules from top to bottom: `packet` (parse), `flow` (known?), `decide`
//! (whose is it?), `flow::open` (remember), `packet::rewrite`. `hook`, `ingress` and `egress` read as
//! that story.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod bridge;
mod config;
mod decide;
mod desk;
mod egress;
mod flow;
mod hook;
mod ingress;
mod maps;
mod packet;
mod raw;
mod report;

use aya_ebpf::{bindings::tcx_action_base::TCX_NEXT, macros::classifier, programs::TcContext};

use crate::{egress::Egress, ingress::Ingress, raw::Skb};

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

/// Never attached: the agent runs it with `BPF_PROG_TEST_RUN` to free expired flows early. The
/// packet's first four bytes are the number of the first record to look at, in host order.
#[classifier]
pub fn sweep(context: TcContext) -> i32 {
    flow::sweep::run(&Skb::new(&context, 0));
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
