//! The maps as text: what golden files hold, and what two maps that differ only in ids share.

use std::fmt::Write;

use svclb::plan::kernel::KernelState;
use svclb_common::{
    address::V4,
    frontend::{Source, backend_flags, frontend_flags},
};

/// All entries, by service, with their ids.
pub(crate) fn with_ids(state: &KernelState) -> String {
    render(state, true)
}

/// All entries, by service, without ids.
pub(crate) fn without_ids(state: &KernelState) -> String {
    render(state, false)
}

fn render(state: &KernelState, ids: bool) -> String {
    let mut services: Vec<_> = state.names.iter().collect();
    services.sort_by_key(|(_, (owner, _))| owner);
    let id = |id: u32| if ids { format!(" [{id}]") } else { String::new() };
    let mut text = String::new();
    for range in state.sources(Source::<V4>::PODS) {
        writeln!(text, "pods {range}").unwrap();
    }
    for (&service, (owner, port)) in services {
        writeln!(text, "{owner} port {port}{}", id(service)).unwrap();
        for (address, frontend) in state.frontends.iter().filter(|(_, f)| f.service == service) {
            writeln!(text, "  at {address}{}", names(frontend.flags, &FRONTEND)).unwrap();
        }
        for range in state.sources(service) {
            writeln!(text, "  admits {range}").unwrap();
        }
        let value = state.service(service);
        if value.affinity != 0 {
            writeln!(text, "  clients stay {} s", value.affinity).unwrap();
        }
        let of = |first, slots| state.slots(first, slots).map(|slot| slot.backend).collect();
        let slots: Vec<_> = of(value.first_slot, value.slots);
        let local: Vec<_> = of(value.first_local, value.local_slots);
        if ids {
            writeln!(text, "  slots {}+{}: {slots:?}", value.first_slot, value.slots).unwrap();
        }
        if ids && !local.is_empty() {
            writeln!(text, "  local {}+{}: {local:?}", value.first_local, value.local_slots)
                .unwrap();
        }
        let mut backends: Vec<_> =
            state.backends.iter().filter(|(_, b)| b.service == service).collect();
        backends.sort_by_key(|(_, backend)| backend.address);
        for (backend_id, backend) in backends {
            let of = |slots: &[u32]| slots.iter().filter(|slot| *slot == backend_id).count();
            let (flags, slots) = (names(backend.flags.into(), &BACKEND), of(&slots));
            let local = Some(of(&local)).filter(|local| *local != 0);
            let local = local.map(|local| format!(" local {local}")).unwrap_or_default();
            let id = id(*backend_id);
            writeln!(text, "  to {}{flags} slots {slots}{local}{id}", backend.address).unwrap();
        }
    }
    text
}

const FRONTEND: [(u32, &str); 3] = [
    (frontend_flags::EXTERNAL, " external"),
    (frontend_flags::LOCAL, " by local endpoints"),
    (frontend_flags::GUARDED, " guarded"),
];

const BACKEND: [(u32, &str); 4] = [
    (backend_flags::SERVING as u32, " serving"),
    (backend_flags::LOCAL as u32, " local"),
    (backend_flags::LOCAL_ONLY as u32, " only"),
    (backend_flags::VANISHED as u32, " vanished"),
];

fn names(flags: u32, names: &[(u32, &str)]) -> String {
    let set = names.iter().filter(|(bit, _)| flags & bit != 0);
    set.map(|(_, name)| *name).collect()
}
