//! The node's configuration: typed globals that the agent sets when it loads the programs.

use aya_ebpf::Global;
use svclb_common::{echo, flow::TimeoutTable};

use crate::raw;

/// How many flow records each family has: a power of two, the size of `flows4` and `flows6`.
#[unsafe(no_mangle)]
static FLOW_SLOTS: Global<u32> = Global::new(svclb_common::layout::size::FLOWS);

/// The first masquerade port.
#[unsafe(no_mangle)]
static MASQ_FIRST: Global<u16> = Global::new(10_240);

/// How many masquerade ports there are.
#[unsafe(no_mangle)]
static MASQ_COUNT: Global<u16> = Global::new(19_760);

/// Seed of the flow hash.
#[unsafe(no_mangle)]
static HASH_SEED: Global<u32> = Global::new(0);

/// Time-outs of flows.
#[unsafe(no_mangle)]
static TIMEOUTS: Global<TimeoutTable> = Global::new(TimeoutTable::ZERO);

/// The kernel's cookie of the node's network namespace.
#[unsafe(no_mangle)]
static NODE_NETNS: Global<u64> = Global::new(0);

/// Whether the socket hooks serve every network namespace (1), or only the node's (0).
#[unsafe(no_mangle)]
static ALL_SOCKETS: Global<u8> = Global::new(0);

/// To whose ping svclb answers: a value of [`echo`](svclb_common::echo).
#[unsafe(no_mangle)]
static ECHO: Global<u8> = Global::new(echo::CLUSTER_IPS);

/// Whether every client of a ClusterIP is masqueraded (1), or only those from outside (0).
#[unsafe(no_mangle)]
static MASQUERADE_ALL: Global<u8> = Global::new(0);

/// Whether TCP in mid-stream without a flow is left to the kernel (1), or refused (0).
#[unsafe(no_mangle)]
static TAKEOVER: Global<u8> = Global::new(0);

/// Whether connections whose endpoint has vanished are reset (1), or left to themselves (0).
#[unsafe(no_mangle)]
static RESET_VANISHED: Global<u8> = Global::new(1);

/// How many flow records each family has.
#[inline(always)]
pub fn flow_slots() -> u32 {
    FLOW_SLOTS.load()
}

/// The masquerade ports: the first, and how many.
#[inline(always)]
pub fn masquerade_ports() -> (u16, u16) {
    (MASQ_FIRST.load(), MASQ_COUNT.load())
}

/// Seed of the flow hash.
#[inline(always)]
pub fn hash_seed() -> u64 {
    u64::from(HASH_SEED.load())
}

/// Time-outs of flows.
#[inline(always)]
pub fn timeouts() -> &'static TimeoutTable {
    raw::in_place(&TIMEOUTS)
}

/// The kernel's cookie of the node's network namespace.
#[inline(always)]
pub fn node_netns() -> u64 {
    NODE_NETNS.load()
}

/// Whether the socket hooks serve every network namespace.
#[inline(always)]
pub fn all_sockets() -> bool {
    ALL_SOCKETS.load() != 0
}

/// To whose ping svclb answers: a value of [`echo`](svclb_common::echo).
#[inline(always)]
pub fn echo() -> u8 {
    ECHO.load()
}

/// Whether every client of a ClusterIP is masqueraded.
#[inline(always)]
pub fn masquerade_all() -> bool {
    MASQUERADE_ALL.load() != 0
}

/// Whether TCP in mid-stream without a flow is left to the kernel.
#[inline(always)]
pub fn takeover() -> bool {
    TAKEOVER.load() != 0
}

/// Whether connections whose endpoint has vanished are reset.
#[inline(always)]
pub fn reset_vanished() -> bool {
    RESET_VANISHED.load() != 0
}
