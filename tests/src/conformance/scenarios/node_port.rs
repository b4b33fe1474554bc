//! Section 6: NodePorts.

use super::{
    Endpoint,
    Frontend::{Localhost, NodePort},
    Place::{Host, Outside, Pod},
    Scenario, Service, expect, one,
};

const PLAIN: Service = Service::PLAIN;
const FAR: &[Endpoint] = &[Endpoint::FAR];

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "6.1",
        "a_client_outside_reaches_the_node_port",
        (PLAIN, FAR),
        (Outside, &[NodePort]),
        expect("far as node1"),
    ),
    one(
        "6.1",
        "a_pod_reaches_the_node_port",
        (PLAIN, FAR),
        (Pod, &[NodePort]),
        expect("far as node1"),
    ),
    one(
        "6.3",
        "the_host_reaches_the_node_port_on_localhost",
        (PLAIN, FAR),
        (Host, &[Localhost]),
        expect("far as the client")
            .beyond("refused", "its packets never leave loopback, so it does not serve them"),
    ),
    one(
        "6.4",
        "the_host_reaches_its_own_node_port",
        (PLAIN, FAR),
        (Host, &[NodePort]),
        expect("far as the client"),
    ),
];
