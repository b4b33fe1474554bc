//! From a frontend to an endpoint: what packets and sockets have in common.

use svclb_common::{
    frontend::{Backend, Frontend, FrontendKey, backend_flags},
    hash,
};

use crate::maps::{self, Tables};

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

/// The id and the endpoint that the hash chooses among those of a service; `None` if it has none.
#[inline(always)]
pub fn choose<A: Tables>(service_id: u32, hash: u32) -> Option<(u32, &'static Backend<A>)> {
    let service = maps::service(service_id)?;
    // The agent may switch the service to a new range between two reads: a slot of another owner
    // says so, and the second look finds the new range.
    for _ in 0..2 {
        let (first, slots) = (service.first_slot, service.slots);
        let slot = maps::slot(first.wrapping_add(hash::scale(hash, slots)))?;
        if slots != 0 && slot.service == service_id {
            return A::backend(slot.backend).map(|backend| (slot.backend, backend));
        }
    }
    None
}

/// Whether a backend id still means this endpoint of this service, and takes new flows.
#[inline(always)]
pub fn serves<A: Tables>(service_id: u32, backend_id: u32, address: &A, port: u16) -> bool {
    A::backend(backend_id).is_some_and(|backend| {
        backend.flags & backend_flags::SERVING != 0
            && backend.service == service_id
            && backend.port == port
            && backend.address == *address
    })
}
