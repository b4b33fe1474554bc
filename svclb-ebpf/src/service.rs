//! From a frontend to an endpoint: what packets and sockets have in common.

use svclb_common::{
    flow::{self, Endpoint, Facts, Flow},
    frontend::{
        AffinityKey, Backend, Frontend, FrontendKey, Service, Source, backend_flags, frontend_flags,
    },
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

/// The entry of an address that is a service's, whatever the port, and no interface's of this node;
/// else [`NONE`].
#[inline(always)]
pub fn vip<A: Tables>(address: &A) -> Frontend {
    match A::frontend(&FrontendKey::vip(*address)) {
        Some(vip) if !A::is_node_address(address) => vip,
        _ => NONE,
    }
}

/// Whether the address is a ClusterIP. (Asked after its frontends: the port is none of them.)
#[inline(always)]
pub fn is_cluster_ip<A: Tables>(address: &A) -> bool {
    let vip = vip(address);
    vip.service != NONE.service && vip.flags & frontend_flags::EXTERNAL == 0
}

/// Whether the address is no Service's, but may be one's some day. The block is watched if it holds
/// any such range, so that other addresses cost one more look at the bitmap and no more.
#[inline(always)]
pub fn is_unallocated<A: Tables>(address: &A) -> bool {
    maps::concern(&address.block()).frontend && is_unallocated_there(address)
}

#[inline(never)]
fn is_unallocated_there<A: Tables>(address: &A) -> bool {
    A::is_in_service_cidr(address)
        && A::frontend(&FrontendKey::vip(*address)).is_none()
        && !A::is_node_address(address)
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

    /// Where it begins in `slots`, and how many it has there.
    #[inline(always)]
    fn range(self, service: &Service) -> (u32, u32) {
        match self {
            Self::LOCAL => (service.first_local, service.local_slots),
            _ => (service.first_slot, service.slots),
        }
    }
}

/// The set that serves a client of the frontend. One inside is not held to what external frontends
/// say.
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
    frontend.flags & frontend_flags::GUARDED == 0 || is_source(frontend.service, client)
}

/// A function of its own, for its key's place on the stack.
#[inline(never)]
fn is_source<A: Tables>(service: u32, client: &A) -> bool {
    A::is_source(Source { service, address: *client })
}

/// Whether the client, whose packet came from a device, is inside the cluster: a pod by its address
/// or its device, or the node itself.
#[inline(always)]
pub fn is_inside<A: Tables>(client: &A, ifindex: u32) -> bool {
    is_source(Source::<A>::PODS, client)
        || maps::is_pod_device(ifindex)
        || A::is_node_address(client)
}

/// Whether the client is known to be outside: not to know it is not the same.
#[inline(always)]
pub fn is_outside<A: Tables>(client: &A, ifindex: u32) -> bool {
    is_source(Source::<A>::DETECTED, client) && !is_inside(client, ifindex)
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
    let Some(service) = maps::service(service_id) else { return Outcome::NoEndpoint };
    if set.range(service).1 != 0 {
        // Only a change at this moment leads nowhere: nobody is refused for that.
        return Outcome::Switching;
    }
    if service.slots != 0 { Outcome::NoLocalEndpoint } else { Outcome::NoEndpoint }
}

/// Whether nobody is in the set.
#[inline(always)]
pub fn is_empty(service_id: u32, set: Set) -> bool {
    maps::service(service_id).is_none_or(|service| set.range(service).1 == 0)
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
        let (first, slots) = set.range(service);
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
        takes(backend.flags, set) && is_meant(backend, service_id, address, port)
    })
}

/// What is left of a flow's endpoint. An id that means another one by now says nothing of it.
#[inline(always)]
pub fn endpoint<A: Tables>(flow: &Flow<A>) -> Endpoint {
    let Facts { service, backend_id, flags, .. } = flow.facts;
    let backend = A::backend(backend_id);
    let meant = backend.filter(|known| is_meant(known, service, &flow.backend, flow.backend_port));
    match meant.map(|known| known.flags) {
        Some(known) if takes(known, Set::of_flow(flags)) => Endpoint::Serving,
        Some(known) if known & backend_flags::VANISHED != 0 => Endpoint::Vanished,
        _ => Endpoint::Leaving,
    }
}

/// Whether what a flow's client asks is still its service's.
#[inline(always)]
pub fn has_frontend<A: Tables>(flow: &Flow<A>) -> bool {
    let at_node = || A::has_node_ports(&flow.frontend);
    let asked = frontend(&flow.frontend, flow.frontend_port, flow.facts.protocol, at_node);
    asked.service == flow.facts.service
}

/// Whether a backend is this endpoint of this service.
#[inline(always)]
fn is_meant<A: Tables>(backend: &Backend<A>, service: u32, address: &A, port: u16) -> bool {
    backend.service == service && backend.port == port && backend.address == *address
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
