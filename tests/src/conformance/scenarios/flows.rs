//! Section 8: how flows live and end.

use super::{
    BOTH, Endpoint,
    Frontend::{ClusterIp, NodePort},
    HELD_TCP, HELD_UDP, KEPT,
    Place::{Outside, Pod},
    Scenario, Service, expect, one,
};

const PLAIN: Service = Service::PLAIN;
const NEAR: &[Endpoint] = &[Endpoint::NEAR];
const FAR: &[Endpoint] = &[Endpoint::FAR];
/// The first endpoint is not ready any more, and another one is.
const UNREADY: &[Endpoint] = &[Endpoint::NEAR.unready(), Endpoint::FAR];
/// The first endpoint ends and still serves.
const ENDING: &[Endpoint] = &[Endpoint::NEAR.terminating(true), Endpoint::FAR];
/// Why flows of an endpoint that is gone are reset.
const HANGS: &str = "a client of an endpoint that is gone would wait for hours";

/// Why datagrams do not stay with an endpoint that is gone.
const STALE: &str = "a flow that nobody ends goes on to whoever gets the endpoint's address next";

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "8.1",
        "a_connection_stays_when_other_endpoints_come",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    )
    .then(BOTH)
    .by(HELD_TCP),
    one(
        "8.1",
        "a_connection_stays_at_an_endpoint_that_is_not_ready_any_more",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    )
    .then(UNREADY)
    .by(HELD_TCP),
    one(
        "8.1",
        "a_connection_stays_at_an_endpoint_that_ends",
        (PLAIN, NEAR),
        (Outside, &[NodePort]),
        expect("near as the client").beyond("near as node1", KEPT),
    )
    .then(ENDING)
    .by(HELD_TCP),
    one(
        "8.3",
        "datagrams_of_a_pod_leave_an_endpoint_that_is_gone",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    )
    .then(FAR)
    .by(HELD_UDP),
    one(
        "8.3",
        "datagrams_of_a_client_outside_leave_an_endpoint_that_is_gone",
        (PLAIN, NEAR),
        (Outside, &[NodePort]),
        expect("far as node1"),
    )
    .then(FAR)
    .by(HELD_UDP),
    one(
        "8.3",
        "datagrams_are_refused_when_the_last_endpoint_goes",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("refused").beyond("near as the client", STALE),
    )
    .then(&[])
    .by(HELD_UDP),
    one(
        "8.4",
        "a_connection_of_a_pod_to_an_endpoint_that_is_gone_is_reset",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("reset").beyond("near as the client", HANGS),
    )
    .then(FAR)
    .by(HELD_TCP),
    one(
        "8.4",
        "a_connection_of_a_client_outside_to_an_endpoint_that_is_gone_is_reset",
        (PLAIN, FAR),
        (Outside, &[NodePort]),
        expect("reset").beyond("far as node1", HANGS),
    )
    .then(NEAR)
    .by(HELD_TCP),
    one(
        "8.5",
        "an_endpoint_that_ends_gets_no_new_connection",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    )
    .then(ENDING),
];
