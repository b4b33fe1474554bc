//! What the maps lack of a service port, in the order in which no packet meets half of a change.

use svclb_common::frontend::{Algorithm, Frontend, Service, Slot, backend_flags, frontend_flags};

use super::{
    kernel::KernelState,
    ledger::Entry,
    operation::{BackendEntry, Operation, ServicePort},
};
use crate::desired::{DesiredBackend, DesiredPort};

/// What the kernel lacks of `desired`, by the ids and slots of `entry`. Whoever may do more than
/// before is told before the switch, whoever may do less after it.
pub(super) fn additions(
    desired: &DesiredPort,
    entry: &Entry,
    backends: &[DesiredBackend],
    kernel: &KernelState,
) -> Vec<Operation> {
    let owner = &desired.owner;
    let mut operations = Vec::new();
    let named = kernel.names.get(&entry.id);
    if named.is_none_or(|(known, port)| known != owner || *port != entry.port) {
        operations.push(Operation::SetName(entry.id, owner.clone(), entry.port));
    }
    let [widened, narrowed] = backend_values(owner, entry, backends, kernel);
    let [freed, others] = frontend_values(desired, entry, kernel);
    operations.extend(widened);
    operations.extend(freed);
    operations.extend(switch(entry, desired.affinity_seconds(), kernel));
    operations.extend(narrowed);
    let known = kernel.sources.get(&entry.id);
    let admitted = desired.admitted.iter().copied();
    let new = admitted.filter(|range| known.is_none_or(|known| !known.contains(range)));
    operations.extend(new.map(|range| Operation::AddSource(entry.id, range)));
    operations.extend(others);
    operations
}

/// The backends that differ: as they must be for the switch, and those that take less after it.
fn backend_values(
    owner: &ServicePort,
    entry: &Entry,
    backends: &[DesiredBackend],
    kernel: &KernelState,
) -> [Vec<Operation>; 2] {
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    for backend in backends {
        let Some(held) = entry.backends.get(&backend.address) else { continue };
        let value = held.entry(owner, entry.id, backend.address);
        let known = kernel.backends.get(&held.id);
        let wide = widened(value, known);
        if known != Some(&wide) {
            before.push(Operation::SetBackend(held.id, wide));
        }
        if wide != value {
            after.push(Operation::SetBackend(held.id, value));
        }
    }
    [before, after]
}

/// A backend in every set that it is in or was in: until the switch, packets find it in the old
/// ones.
fn widened(value: BackendEntry, known: Option<&BackendEntry>) -> BackendEntry {
    use backend_flags::{LOCAL, LOCAL_ONLY, SERVING};
    let BackendEntry { flags, weight, .. } = value;
    let serves = |known: &&BackendEntry| {
        known.flags & SERVING != 0 && BackendEntry { flags, weight, ..**known } == value
    };
    let Some(known) = known.filter(serves) else { return value };
    let flags = (flags | known.flags & LOCAL) & (known.flags | !LOCAL_ONLY);
    BackendEntry { flags, ..value }
}

/// The frontends that differ: without the bond to the local set, where that ends, and as they
/// should be.
fn frontend_values(
    desired: &DesiredPort,
    entry: &Entry,
    kernel: &KernelState,
) -> [Vec<Operation>; 2] {
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    for frontend in &desired.frontends {
        let value = Frontend { service: entry.id, flags: desired.flags(frontend) };
        let known = kernel.frontends.get(&frontend.address);
        let ends = frontend_flags::LOCAL & !value.flags;
        let freed = known.filter(|known| known.service == entry.id && known.flags & ends != 0);
        let freed = freed.map(|known| Frontend { flags: known.flags & !ends, ..*known });
        before.extend(freed.map(|freed| Operation::SetFrontend(frontend.address, freed)));
        if freed.as_ref().or(known) != Some(&value) {
            after.push(Operation::SetFrontend(frontend.address, value));
        }
    }
    [before, after]
}

/// The slots, where they differ, then the service that leads to them.
fn switch(entry: &Entry, affinity: u32, kernel: &KernelState) -> Vec<Operation> {
    let mut operations = Vec::new();
    let slot = |backend: &u32| Slot { backend: *backend, service: entry.id };
    let slots: Vec<_> = entry.slots.iter().map(slot).collect();
    let len = entry.slots.len() as u32;
    if !kernel.slots(entry.range.first, len).eq(slots.iter().copied()) {
        operations.push(Operation::SetSlots(entry.range.first, slots));
    }
    let slots = entry.cluster as u32;
    let local_slots = len - slots;
    let begin = |len, at| if len == 0 { 0 } else { at };
    let service = Service {
        first_slot: begin(slots, entry.range.first),
        slots,
        first_local: begin(local_slots, entry.range.first + slots),
        local_slots,
        algorithm: Algorithm::Random as u32,
        affinity,
    };
    if kernel.service(entry.id) != service {
        operations.push(Operation::SetService(entry.id, service));
    }
    operations
}
