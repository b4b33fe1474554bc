//! Section 7: session affinity.

use super::{
    BOTH,
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
];
