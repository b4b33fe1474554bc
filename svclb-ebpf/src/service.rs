//! From a frontend to an endpoint: what packets and sockets have in common.

use svclb_common::{
    flow,
    frontend::{AffinityKey, Frontend, FrontendKey, Source, backend_flags, frontend_flags},
    hash,
    outcome::Outcome,
};

use crate::{
    affinity,
    maps::{self, Tables},
};

/// No frontend: service ids begin at 1. (An `Option` here may be put together, by the compiler, from
/// registers that nobody has written.)
pub const NONE: Frontend = Frontend { service: 0, flags: 0 };

/// The frontend at an address of its own, or at every address of the node where `at_node` says that
/// the address is such a one; else [`NONE`].
#[inline(always)]
pub fn frontend<A: Tables>(
    address: &A,
    port: u16,
    protocol: u8,
    at_node: impl FnOnce() -> bool,
) -> Frontend {
    if let Some(frontend) = A::frontend(&FrontendKey::new(*address, port, protocol)) {
        return frontend;
    }
    match A::frontend(&FrontendKey::node_port(port, protocol)) {
        Some(frontend) if at_node() => frontend,
        _ => NONE,
    }
}

/// Which of a service's endpoints may serve a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Set(u32);

impl Set {
    /// Those of the whole cluster.
    pub const CLUSTER: Self = Self(0);
    /// Those on this node.
    pub const LOCAL: Self = Self(1);

    /// The set that a flow was chosen from.
    #[inline(always)]
    pub fn of_flow(flags: u8) -> Self {
        if flags & flow::flags::LOCAL_SET != 0 { Self::LOCAL } else { Self::CLUSTER }
    }
}

/// The set that serves a client of the frontend. One inside, a pod of this node or the node itself,
/// is not held to what external frontends say.
#[inline(always)]
pub fn set_for(frontend: Frontend, is_inside: impl FnOnce() -> bool) -> Set {
    if frontend.flags & frontend_flags::LOCAL == 0 {
        return Set::CLUSTER;
    }
    if frontend.flags & frontend_flags::EXTERNAL != 0 && is_inside() {
        return Set::CLUSTER;
    }
    Set::LOCAL
}

/// Whether source ranges let the client ask the frontend.
#[inline(always)]
pub fn admits<A: Tables>(frontend: Frontend, client: &A) -> bool {
    let source = Source { service: frontend.service, address: *client };
    frontend.flags & frontend_flags::GUARDED == 0 || A::is_source(source)
}

/// Whether the client is a pod of this node.
#[inline(always)]
pub fn is_pod<A: Tables>(client: &A) -> bool {
    A::is_source(Source { service: Source::<A>::PODS, address: *client })
}

/// The id of the backend that serves the client: the one that it stays with, if the service has
/// session affinity, else the one that the hash chooses from `set`; 0 if there is none.
#[inline(never)]
pub fn choose<A: Tables>(service_id: u32, set: Set, hash: u32, client: &A) -> u32 {
    let seconds = maps::service(service_id).map_or(0, |service| service.affinity);
    if seconds == 0 {
        return balance::<A>(service_id, set, hash);
    }
    let key = AffinityKey { service: service_id, client: *client };
    let known = affinity::known(&key, set, seconds);
    if known != 0 {
        return known;
    }
    match balance::<A>(service_id, set, hash) {
        0 => 0,
        backend => affinity::settle(&key, set, seconds, backend),
    }
}

/// Why no endpoint of `set` serves.
#[inline(always)]
pub fn why_none(service_id: u32, set: Set) -> Outcome {
    let elsewhere = maps::service(service_id).is_some_and(|service| service.slots != 0);
    if set == Set::LOCAL && elsewhere { Outcome::NoLocalEndpoint } else { Outcome::NoEndpoint }
}

/// Whether the service has a local set with somebody in it.
#[inline(always)]
pub fn has_local(service_id: u32) -> bool {
    maps::service(service_id).is_some_and(|service| service.local_slots != 0)
}

/// Whether clients stay with their endpoints.
#[inline(always)]
pub fn has_affinity(service_id: u32) -> bool {
    maps::service(service_id).is_some_and(|service| service.affinity != 0)
}

/// The id of the backend that the hash chooses from `set`; 0 if there is none.
#[inline(always)]
fn balance<A: Tables>(service_id: u32, set: Set, hash: u32) -> u32 {
    let Some(service) = maps::service(service_id) else { return 0 };
    // The agent may switch the service to a new range between two reads: a slot of another owner,
    // or of the other set, says so, and the second look finds the new range.
    for _ in 0..2 {
        let (first, slots) = match set {
            Set::LOCAL => (service.first_local, service.local_slots),
            _ => (service.first_slot, service.slots),
        };
        let Some(slot) = maps::slot(first.wrapping_add(hash::scale(hash, slots))) else { return 0 };
        if slots != 0 && slot.service == service_id && has::<A>(service_id, slot.backend, set) {
            return slot.backend;
        }
    }
    0
}

/// Whether a backend id means an endpoint of this service that takes new flows of `set`.
#[inline(always)]
pub fn has<A: Tables>(service_id: u32, backend_id: u32, set: Set) -> bool {
    A::backend(backend_id)
        .is_some_and(|backend| backend.service == service_id && takes(backend.flags, set))
}

/// Whether a backend id still means this endpoint of this service, and takes new flows of `set`.
#[inline(always)]
pub fn serves<A: Tables>(
    service_id: u32,
    backend_id: u32,
    set: Set,
    address: &A,
    port: u16,
) -> bool {
    A::backend(backend_id).is_some_and(|backend| {
        takes(backend.flags, set)
            && backend.service == service_id
            && backend.port == port
            && backend.address == *address
    })
}

/// Whether a backend with these flags takes new flows of `set`.
#[inline(always)]
fn takes(flags: u8, set: Set) -> bool {
    let (mask, wanted) = match set {
        Set::LOCAL => {
            let both = backend_flags::SERVING | backend_flags::LOCAL;
            (both, both)
        }
        _ => (backend_flags::SERVING | backend_flags::LOCAL_ONLY, backend_flags::SERVING),
    };
    flags & mask == wanted
}
