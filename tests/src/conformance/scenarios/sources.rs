//! Section 5: whom endpoints see.

use super::{
    Endpoint,
    Frontend::{ClusterIp, ExternalIp, LoadBalancer, NodePort},
    KEPT,
    Place::{self, Outside, Pod},
    Scenario, Service, expect, one,
};

const PLAIN: Service = Service::PLAIN;
const NEAR: &[Endpoint] = &[Endpoint::NEAR];
const FAR: &[Endpoint] = &[Endpoint::FAR];

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "5.1",
        "a_pods_address_is_kept_to_a_far_endpoint",
        (PLAIN, FAR),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    ),
    one(
        "5.1",
        "a_pods_address_is_kept_to_a_near_endpoint",
        (PLAIN, NEAR),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "5.2",
        "an_endpoint_that_reaches_itself_is_masqueraded",
        (PLAIN, NEAR),
        (Place::Endpoint, &[ClusterIp]),
        expect("near as node1"),
    ),
    one(
        "5.3",
        "a_client_outside_is_masqueraded_to_a_far_endpoint",
        (PLAIN, FAR),
        (Outside, &[NodePort, ExternalIp, LoadBalancer]),
        expect("far as node1"),
    ),
    one(
        "5.4",
        "a_client_outside_is_seen_by_a_near_endpoint",
        (PLAIN, NEAR),
        (Outside, &[NodePort, ExternalIp, LoadBalancer]),
        expect("near as the client").beyond("near as node1", KEPT),
    ),
    one(
        "5.5",
        "external_policy_local_keeps_the_client",
        (Service::EXTERNAL_LOCAL, NEAR),
        (Outside, &[NodePort, ExternalIp, LoadBalancer]),
        expect("near as the client"),
    ),
    one(
        "5.6",
        "a_client_outside_is_masqueraded_from_a_cluster_ip",
        (PLAIN, FAR),
        (Outside, &[ClusterIp]),
        expect("far as node1"),
    ),
];
