//! Section 3: which endpoints serve.

use super::{
    BOTH, Endpoint,
    Frontend::{ClusterIp, NodePort},
    Place::{Host, Outside, Pod},
    REFUSED, Scenario, Service, expect, one,
};

const PLAIN: Service = Service::PLAIN;
const NEAR: Endpoint = Endpoint::NEAR;
const FAR: Endpoint = Endpoint::FAR;

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "3.1",
        "all_ready_endpoints_serve_a_pod",
        (PLAIN, BOTH),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.1",
        "all_ready_endpoints_serve_the_host",
        (PLAIN, BOTH),
        (Host, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.1",
        "an_endpoint_that_is_not_ready_does_not_serve",
        (PLAIN, &[NEAR.unready(), FAR]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    ),
    one(
        "3.1",
        "a_ready_endpoint_goes_before_one_that_ends",
        (PLAIN, &[NEAR.terminating(true), FAR]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    ),
    one(
        "3.1",
        "endpoints_that_end_serve_while_no_other_does",
        (PLAIN, &[NEAR.unready(), FAR.terminating(true)]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    ),
    one(
        "3.2",
        "internal_policy_local_keeps_pods_on_their_node",
        (Service::INTERNAL_LOCAL, BOTH),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "3.2",
        "internal_policy_local_keeps_the_host_on_its_node",
        (Service::INTERNAL_LOCAL, BOTH),
        (Host, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "3.2",
        "external_policy_local_keeps_clients_outside_on_the_node",
        (Service::EXTERNAL_LOCAL, BOTH),
        (Outside, &[NodePort]),
        expect("near as the client"),
    ),
    one(
        "3.2",
        "external_policy_local_says_nothing_about_the_cluster_ip",
        (Service::EXTERNAL_LOCAL, BOTH),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.2",
        "local_endpoints_that_end_serve_while_no_other_does",
        (Service::EXTERNAL_LOCAL, &[NEAR.terminating(true), FAR]),
        (Outside, &[NodePort]),
        expect("near as the client"),
    ),
    one(
        "3.2",
        "topology_does_not_touch_the_local_set",
        (Service::EXTERNAL_LOCAL, &[NEAR.for_zone("zone-2"), FAR.for_zone("zone-1")]),
        (Outside, &[NodePort]),
        expect("near as the client"),
    ),
    one(
        "3.3",
        "node_hints_keep_clients_on_their_node",
        (PLAIN, &[NEAR.for_node("node1"), FAR.for_node("node2")]),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "3.3",
        "node_hints_that_one_endpoint_lacks_do_not_count",
        (PLAIN, &[NEAR.for_node("node1"), FAR]),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.3",
        "node_hints_go_before_zone_hints",
        (
            PLAIN,
            &[NEAR.for_zone("zone-2").for_node("node1"), FAR.for_zone("zone-1").for_node("node2")],
        ),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "3.4",
        "zone_hints_keep_clients_in_their_zone",
        (PLAIN, &[NEAR.for_zone("zone-2"), FAR.for_zone("zone-1")]),
        (Pod, &[ClusterIp]),
        expect("far as the client"),
    ),
    one(
        "3.4",
        "zone_hints_that_one_endpoint_lacks_do_not_count",
        (PLAIN, &[NEAR, FAR.for_zone("zone-1")]),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.4",
        "zone_hints_that_name_no_client_of_this_zone_do_not_count",
        (PLAIN, &[NEAR.for_zone("zone-2"), FAR.for_zone("zone-2")]),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
    one(
        "3.5",
        "an_endpoint_that_ends_and_does_not_serve_never_serves",
        (PLAIN, &[NEAR.terminating(false), FAR.terminating(false)]),
        (Pod, &[ClusterIp]),
        REFUSED,
    ),
    one(
        "3.1",
        "an_endpoint_that_comes_serves",
        (PLAIN, &[NEAR]),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    )
    .then(BOTH),
    one(
        "4.1",
        "the_last_endpoint_that_goes_is_refused",
        (PLAIN, &[NEAR]),
        (Pod, &[ClusterIp]),
        REFUSED,
    )
    .then(&[]),
];
