//! Section 7: session affinity.

use super::{
    BOTH, Endpoint,
    Frontend::{ClusterIp, ExternalIp, LoadBalancer, NodePort},
    Place::{Host, Outside, Pod},
    Scenario, Service, expect, one,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "7.1",
        "a_pod_stays_at_its_endpoint_over_all_frontends",
        (Service::AFFINE, BOTH),
        (Pod, &[ClusterIp, NodePort, ExternalIp, LoadBalancer]),
        expect("always the same"),
    ),
    one(
        "7.1",
        "a_client_outside_stays_at_its_endpoint_over_all_frontends",
        (Service::AFFINE, BOTH),
        (Outside, &[NodePort, ExternalIp, LoadBalancer]),
        expect("always the same"),
    ),
    one(
        "7.1",
        "the_host_stays_at_its_endpoint_over_all_frontends",
        (Service::AFFINE, BOTH),
        (Host, &[ClusterIp, NodePort, ExternalIp, LoadBalancer]),
        expect("always the same"),
    ),
    one(
        "7.1",
        "a_pod_is_pinned",
        (Service::AFFINE, BOTH),
        (Pod, &[ClusterIp]),
        expect("always the same"),
    ),
    one(
        "7.1",
        "an_endpoint_that_comes_takes_nobody_over",
        (Service::AFFINE, &[Endpoint::FAR]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    )
    .then(BOTH),
    one(
        "7.3",
        "a_pod_moves_when_its_endpoint_goes",
        (Service::AFFINE, &[Endpoint::NEAR]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    )
    .then(&[Endpoint::FAR]),
    one(
        "7.3",
        "the_host_moves_when_its_endpoint_goes",
        (Service::AFFINE, &[Endpoint::NEAR]),
        (Host, &[ClusterIp, NodePort]),
        expect("far as the client"),
    )
    .then(&[Endpoint::FAR]),
    one(
        "7.3",
        "a_client_outside_moves_when_its_endpoint_goes",
        (Service::AFFINE, &[Endpoint::NEAR]),
        (Outside, &[NodePort, ExternalIp, LoadBalancer]),
        expect("far as node1"),
    )
    .then(&[Endpoint::FAR]),
];
