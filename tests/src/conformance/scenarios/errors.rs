//! Section 9: errors, fragments, families.

use super::{
    Endpoint,
    Frontend::{ClusterIp, NodePort},
    Place::{Outside, Pod},
    Scenario, Service, expect, one,
};
use crate::traffic::probe::Protocol;

const PLAIN: Service = Service::PLAIN;
const CLOSED: Service = Service { closed: true, ..PLAIN };
const NEAR: &[Endpoint] = &[Endpoint::NEAR];
const FAR: &[Endpoint] = &[Endpoint::FAR];
const LARGE: &[Protocol] = &[Protocol::LargeUdp];

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "9.1",
        "a_closed_port_of_an_endpoint_refuses_a_pod",
        (CLOSED, FAR),
        (Pod, &[ClusterIp]),
        expect("refused"),
    ),
    one(
        "9.1",
        "a_closed_port_of_an_endpoint_refuses_a_client_outside",
        (CLOSED, FAR),
        (Outside, &[NodePort]),
        expect("refused"),
    ),
    one(
        "9.3",
        "a_large_datagram_of_a_pod_is_answered",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    )
    .by(LARGE),
    one(
        "9.3",
        "a_large_datagram_of_a_client_outside_is_answered",
        (PLAIN, FAR),
        (Outside, &[NodePort]),
        expect("far as node1"),
    )
    .by(LARGE),
];
