//! The scenarios, by section of the contract.

mod affinity;
mod choice;
mod errors;
mod flows;
mod health;
mod node_port;
mod sources;
mod verdicts;
mod watched;

use super::{
    contract::Row,
    scenario::{Endpoint, Expected, Frontend, Place, Scenario, Server, Service, expect},
};

use crate::traffic::probe::Protocol;

/// What a service without endpoints is.
const REFUSED: Expected = expect("refused").beyond(
    "refused; TCP IPv6: refused after a second",
    "it answers TCP with an ICMP error, which clients over IPv6 hear only when they try again",
);
/// As [`REFUSED`], for processes of the node.
const HOST_REFUSED: Expected = expect("refused").beyond(
    "not permitted; TCP IPv4: refused; TCP IPv6: refused after a second",
    "it forbids the node's own datagrams, where clients know what a refusal means",
);
/// What is dropped, for processes of the node.
const HOST_DROPPED: Expected = expect("no answer").beyond(
    "TCP: no answer; UDP: not permitted",
    "it forbids the node's own datagrams, where those of pods are lost",
);

/// Why svclb keeps an address that kube-proxy hides.
const KEPT: &str =
    "replies of an endpoint on this node come back through it: nothing need be hidden";

/// By one connection.
const HELD_TCP: &[Protocol] = &[Protocol::HeldTcp];
/// From one socket.
const HELD_UDP: &[Protocol] = &[Protocol::HeldUdp];
/// By an ICMP or ICMPv6 echo.
const PING: &[Protocol] = &[Protocol::Ping];

/// Both endpoints, ready.
const BOTH: &[Endpoint] = &[Endpoint::NEAR, Endpoint::FAR];

/// All, in the contract's order.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let sections = [
        watched::SCENARIOS,
        choice::SCENARIOS,
        verdicts::SCENARIOS,
        sources::SCENARIOS,
        node_port::SCENARIOS,
        affinity::SCENARIOS,
        flows::SCENARIOS,
        errors::SCENARIOS,
        health::SCENARIOS,
    ];
    sections.into_iter().flatten()
}

/// What is written after all others, with its number, to see how far a proxy has come.
pub(super) const SENTINEL: (u8, &Scenario) = (
    u8::MAX,
    &one(
        "",
        "the_last_service_is_served",
        (Service::PLAIN, &[Endpoint::NEAR]),
        (Place::Pod, &[Frontend::ClusterIp]),
        expect("near as the client"),
    ),
);

/// A scenario whose endpoints do not change.
const fn one(
    row: &'static str,
    name: &'static str,
    (service, endpoints): (Service, &'static [Endpoint]),
    (from, to): (Place, &'static [Frontend]),
    expected: Expected,
) -> Scenario {
    Scenario {
        row,
        name,
        service,
        endpoints,
        then: None,
        from,
        protocols: Protocol::SERVED,
        to,
        expected,
    }
}

impl Scenario {
    /// It is asked by these means instead.
    const fn by(self, protocols: &'static [Protocol]) -> Self {
        Self { protocols, ..self }
    }

    /// It gets other endpoints after it was asked.
    const fn then(self, endpoints: &'static [Endpoint]) -> Self {
        Self { then: Some(endpoints), ..self }
    }
}

/// Those of a row.
pub(super) fn of(row: &Row) -> impl Iterator<Item = &'static Scenario> {
    all().filter(|scenario| scenario.row == row.id)
}
