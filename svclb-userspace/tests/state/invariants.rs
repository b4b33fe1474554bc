//! What must hold after every single operation: a packet may come at any time.

use svclb::{
    plan::{Operation, kernel::KernelState, operation::FrontendAddress},
    writer::{MapWriter, WriteError, memory::MemoryWriter},
};
use svclb_common::{
    filter::Interest,
    frontend::{Slot, backend_flags},
};

/// Maps in memory that check themselves.
#[derive(Debug, Default)]
pub(crate) struct CheckedWriter {
    pub(crate) maps: MemoryWriter,
    pub(crate) strict: bool,
}

impl MapWriter for CheckedWriter {
    fn apply(&mut self, operation: &Operation) -> Result<bool, WriteError> {
        let result = self.maps.apply(operation);
        if self.strict {
            check(self.maps.state(), operation);
        }
        result
    }
}

fn check(state: &KernelState, after: &Operation) {
    for (address, frontend) in &state.frontends {
        assert!(state.names.contains_key(&frontend.service), "{address} is nobody's: {after:?}");
        if let FrontendAddress::Address(at, _) = address {
            let watched = state.watched.contains(at.ip(), Interest::Frontend);
            assert!(watched, "{address} is not watched: {after:?}");
        }
    }
    for (id, service) in &state.services {
        let cluster = state.slots(service.first_slot, service.slots);
        leads_to_who_takes(state, *id, cluster, in_cluster_set, after);
        let local = state.slots(service.first_local, service.local_slots);
        leads_to_who_takes(state, *id, local, in_local_set, after);
    }
    for backend in state.backends.values() {
        let watched = state.watched.contains(backend.address.ip(), Interest::Backend);
        assert!(watched, "{} is not watched: {after:?}", backend.address);
    }
}

/// Whether the programs let a backend with these flags serve where all of the cluster may.
fn in_cluster_set(flags: u8) -> bool {
    flags & (backend_flags::SERVING | backend_flags::LOCAL_ONLY) == backend_flags::SERVING
}

/// Whether they let it serve where only endpoints on this node may.
fn in_local_set(flags: u8) -> bool {
    flags & backend_flags::SERVING != 0 && flags & backend_flags::LOCAL != 0
}

fn leads_to_who_takes(
    state: &KernelState,
    service: u32,
    slots: impl Iterator<Item = Slot>,
    takes: fn(u8) -> bool,
    after: &Operation,
) {
    for slot in slots {
        assert_eq!(slot.service, service, "a slot of another service: {after:?}");
        let backend = state.backends.get(&slot.backend);
        assert!(
            backend.is_some_and(|b| b.service == service && takes(b.flags)),
            "slot of {service} leads to {backend:?}: {after:?}"
        );
    }
}
