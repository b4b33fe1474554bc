//! Session affinity: a client stays with its endpoint.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use svclb_common::frontend::{Affinity, AffinityKey};

use crate::{
    maps::Tables,
    raw,
    service::{self, Set},
};

const NS: u64 = 1_000_000_000;

/// The backend that the client stays with for another `seconds`, if it still is in `set`; else 0.
#[inline(always)]
pub fn known<A: Tables>(key: &AffinityKey<A>, set: Set, seconds: u32) -> u32 {
    let Some(known) = A::affinity(key) else { return 0 };
    let now = raw::now_ns();
    let silent = now.saturating_sub(known.last_ns);
    if silent > u64::from(seconds) * NS || !service::has::<A>(key.service, known.backend, set) {
        return 0;
    }
    A::set_affinity(key, &Affinity { last_ns: now, ..known }, u64::from(BPF_ANY));
    known.backend
}

/// Lets the client stay with `backend`; returns the one that it stays with. Two first flows at once
/// must not part: the one that comes second goes where the first did.
#[inline(always)]
pub fn settle<A: Tables>(key: &AffinityKey<A>, set: Set, seconds: u32, backend: u32) -> u32 {
    let affinity = Affinity { last_ns: raw::now_ns(), backend, pad: 0 };
    if A::set_affinity(key, &affinity, u64::from(BPF_NOEXIST)) {
        return backend;
    }
    let winner = known(key, set, seconds);
    if winner == 0 {
        // What is there is over. Without room, the client is balanced anew next time.
        A::set_affinity(key, &affinity, u64::from(BPF_ANY));
        return backend;
    }
    winner
}
