//! What must hold after every single operation: a packet may come at any time.

use svclb::{
    plan::{
        Operation,
        kernel::KernelState,
        operation::{BackendEntry, FrontendAddress},
    },
    writer::{MapWriter, WriteError, memory::MemoryWriter},
};
use svclb_common::{filter::Interest, frontend::backend_flags};

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
        for slot in state.slots(service.first_slot, service.slots) {
            assert_eq!(slot.service, *id, "a slot of another service: {after:?}");
            let backend = state.backends.get(&slot.backend);
            let serves = |b: &BackendEntry| b.flags & backend_flags::SERVING != 0;
            assert!(
                backend.is_some_and(|b| b.service == *id && serves(b)),
                "slot of {id} leads to {backend:?}: {after:?}"
            );
        }
    }
    for backend in state.backends.values() {
        let watched = state.watched.contains(backend.address.ip(), Interest::Backend);
        assert!(watched, "{} is not watched: {after:?}", backend.address);
    }
}
