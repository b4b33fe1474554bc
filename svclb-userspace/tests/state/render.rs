//! The maps as text: what golden files hold, and what two maps that differ only in ids share.

use std::fmt::Write;

use svclb::plan::{kernel::KernelState, operation::BackendEntry};
use svclb_common::frontend::{backend_flags, frontend_flags};

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
    for (&service, (owner, port)) in services {
        writeln!(text, "{owner} port {port}{}", id(service)).unwrap();
        for (address, frontend) in state.frontends.iter().filter(|(_, f)| f.service == service) {
            let external = frontend.flags & frontend_flags::EXTERNAL != 0;
            writeln!(text, "  at {address}{}", if external { " external" } else { "" }).unwrap();
        }
        let value = state.service(service);
        let slots = state.slots(value.first_slot, value.slots).map(|slot| slot.backend);
        let slots: Vec<_> = slots.collect();
        if ids {
            writeln!(text, "  slots {}+{}: {slots:?}", value.first_slot, value.slots).unwrap();
        }
        let mut backends: Vec<_> =
            state.backends.iter().filter(|(_, b)| b.service == service).collect();
        backends.sort_by_key(|(_, backend)| backend.address);
        for (backend_id, backend) in backends {
            let chosen = slots.iter().filter(|slot| *slot == backend_id).count();
            let flags = flags(backend);
            writeln!(text, "  to {}{flags} slots {chosen}{}", backend.address, id(*backend_id))
                .unwrap();
        }
    }
    text
}

fn flags(backend: &BackendEntry) -> String {
    let names = [(backend_flags::SERVING, " serving"), (backend_flags::LOCAL, " local")];
    let set = names.iter().filter(|(bit, _)| backend.flags & bit != 0);
    set.map(|(_, name)| *name).collect()
}
