//! `svclb get flows`.

use std::net::SocketAddr;

use anyhow::Result;
use serde::Serialize;
use svclb::{
    flow_table::{FlowRecord, FlowTable, monotonic_ns},
    pins::Pins,
    plan::{kernel::KernelState, operation::Protocol},
};

use super::{Get, Owner, state};
use crate::cli::output::Row;

/// A connection.
#[derive(Serialize)]
pub(super) struct FlowRow {
    protocol: Option<Protocol>,
    client: SocketAddr,
    frontend: SocketAddr,
    backend: SocketAddr,
    /// The node's address that stands for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    masquerade: Option<SocketAddr>,
    /// Its service port; none for a direct connection that was moved to another port.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Owner>,
    state: &'static str,
    /// Seconds since a recent packet.
    age: f64,
}

impl Row for FlowRow {
    const TITLES: &'static [&'static str] =
        &["PROTOCOL", "CLIENT", "FRONTEND", "BACKEND", "MASQUERADE", "SERVICE", "STATE", "AGE"];

    fn cells(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            or_dash(self.protocol.map(|protocol| protocol.to_string())),
            self.client.to_string(),
            self.frontend.to_string(),
            self.backend.to_string(),
            or_dash(self.masquerade.map(|address| address.to_string())),
            or_dash(self.service.as_ref().map(Owner::label)),
            self.state.to_owned(),
            format!("{:.1}s", self.age),
        ]
    }
}

impl FlowRow {
    fn new(flow: &FlowRecord, state: &KernelState, now_ns: u64) -> Self {
        let owner = state.names.get(&flow.facts.service);
        Self {
            protocol: Protocol::from_number(flow.facts.protocol),
            client: flow.client,
            frontend: flow.frontend,
            backend: flow.backend,
            masquerade: flow.masquerade,
            service: owner.map(|(owner, port)| Owner::new(owner, *port)),
            state: if flow.facts.is_severed() { "severed" } else { flow.facts.state().name() },
            age: flow.facts.age_ns(now_ns) as f64 / 1e9,
        }
    }
}

/// The flows of the service ports that `get` asks for, in order of their frontends and clients.
pub(super) fn list(pins: &Pins, get: &Get) -> Result<Vec<FlowRow>> {
    let (state, now_ns) = (state(pins)?, monotonic_ns()?);
    let wanted = |flow: &FlowRecord| match state.names.get(&flow.facts.service) {
        Some((owner, _)) => get.wants(owner),
        None => get.wants_all(),
    };
    let mut rows = Vec::new();
    for flow in FlowTable::open(pins)?.iter() {
        let flow = flow?;
        if wanted(&flow) {
            rows.push(FlowRow::new(&flow, &state, now_ns));
        }
    }
    rows.sort_by_key(|row| (row.frontend, row.client));
    Ok(rows)
}
