//! Counters and events.

use core::ffi::c_void;

use aya_ebpf::bindings::tcx_action_base::{TCX_DROP, TCX_NEXT};
use aya_log_ebpf::debug;
use svclb_common::{
    counters::Traffic,
    event::Event,
    flow::{Facts, Role},
    outcome::{Kind, Outcome},
    tuple::Tuple,
};

use crate::{
    maps::{self, Tables},
    packet::Stop,
    raw::{self, Skb, Socket},
};

/// The action for a packet whose headers nobody has read to the end, counted: on as it is, unless
/// there is nobody that it could go to.
#[inline(always)]
pub fn unparsed(stop: Stop) -> i32 {
    let Stop::Because(outcome) = stop else { return TCX_NEXT };
    count(outcome);
    if matches!(outcome.kind(), Kind::Dropped) { TCX_DROP } else { TCX_NEXT }
}

/// Counts an outcome that somebody may ask about, and sends it as an event.
#[inline(always)]
pub fn note<A: Tables>(skb: &Skb, tuple: &Tuple<A>, outcome: Outcome) {
    count(outcome);
    event(skb, tuple, outcome);
}

/// Sends an outcome as an event.
#[inline(always)]
pub fn event<A: Tables>(skb: &Skb, tuple: &Tuple<A>, outcome: Outcome) {
    tell(skb.as_ptr(), skb.ifindex(), tuple, outcome);
}

/// Counts an outcome.
#[inline(always)]
pub fn count(outcome: Outcome) {
    if let Some(counter) = maps::outcome(outcome) {
        // SAFETY: this CPU's own entry of a per-CPU array.
        unsafe { *counter += 1 };
    }
}

/// Counts a packet of a flow for its service and its backend.
#[inline(always)]
pub fn traffic(skb: &Skb, flow: &Facts, role: Role) {
    packets(skb, flow.service, flow.backend_id, role.from_client());
}

/// Counts a packet for a service and a backend.
#[inline(always)]
pub fn packets(skb: &Skb, service: u32, backend: u32, from_client: bool) {
    let (packets, bytes) = (u64::from(skb.segments()), u64::from(skb.len()));
    each_counter(service, backend, |traffic| {
        if from_client {
            traffic.packets += packets;
            traffic.bytes += bytes;
        } else {
            traffic.reply_packets += packets;
            traffic.reply_bytes += bytes;
        }
    });
}

/// Counts a new flow for its service and its backend.
#[inline(always)]
pub fn opened(flow: &Facts) {
    count(Outcome::Opened);
    each_counter(flow.service, flow.backend_id, |traffic| traffic.flows += 1);
}

/// Counts an outcome at a socket hook, which packets' hooks may interrupt.
#[inline(always)]
pub fn count_at_socket(outcome: Outcome) {
    if let Some(counter) = maps::outcome(outcome) {
        // SAFETY: this CPU's own entry of a per-CPU array, and the addition is atomic.
        raw::add(unsafe { &mut *counter }, 1);
    }
}

/// Counts a socket's new flow for its service and its backend.
#[inline(always)]
pub fn opened_at_socket(service: u32, backend: u32) {
    each_counter(service, backend, |traffic| raw::add(&mut traffic.flows, 1));
}

/// Counts that a socket was refused, and sends it as an event: the peer that it named is known, its
/// own address mostly not yet.
#[inline(always)]
pub fn refused<A: Tables>(socket: &Socket, asked: &Tuple<A>) {
    count_at_socket(Outcome::SocketRefused);
    tell(socket.as_ptr(), 0, asked, Outcome::SocketRefused);
}

#[inline(always)]
fn each_counter(service: u32, backend: u32, mut add: impl FnMut(&mut Traffic)) {
    let mut to = |counter: Option<*mut Traffic>| {
        if let Some(traffic) = counter {
            // SAFETY: this CPU's own entry of a per-CPU array.
            add(unsafe { &mut *traffic });
        }
    };
    to(maps::service_traffic(service));
    to(maps::backend_traffic(backend));
}

#[inline(never)]
fn tell<A: Tables>(context: *mut c_void, ifindex: u32, tuple: &Tuple<A>, outcome: Outcome) {
    maps::send(Event::new(outcome as u32, raw::now_ns(), ifindex, tuple));
    debug!(
        context,
        "outcome {} on device {}: protocol {} port {} to {}",
        outcome as u32,
        ifindex,
        tuple.protocol,
        tuple.sport,
        tuple.dport
    );
}
