//! Section 4: what becomes of clients that no endpoint serves.

use super::{
    BOTH, Endpoint, Expected,
    Frontend::{
        ClusterIp, ClusterIpOtherPort, ExternalIp, LoadBalancer, LoadBalancerOtherPort, NodePort,
        Unallocated,
    },
    HOST_DROPPED, HOST_REFUSED, PING,
    Place::{Host, Outside, Pod},
    REFUSED, Scenario, Service, expect, one,
};

const PLAIN: Service = Service::PLAIN;
const EXTERNAL: Service = Service::EXTERNAL_LOCAL;
const INTERNAL: Service = Service::INTERNAL_LOCAL;
const FAR: &[Endpoint] = &[Endpoint::FAR];
/// Addresses of neither clients nor nodes.
const RANGED: Service = Service { source_ranges: &["203.0.113.0/24", "2001:db8:77::/48"], ..PLAIN };
/// The LAN of the nodes and the clients outside.
const RANGED_LAN: Service = Service { source_ranges: &["192.0.2.0/24", "2001:db8::/64"], ..PLAIN };
/// What becomes of a ping. The contract wants an answer; kube-proxy knows of ports only.
const fn echo(kube_proxy: &'static str) -> Expected {
    expect("answered").beyond(kube_proxy, "an echo has no port that it could serve")
}

pub(super) const SCENARIOS: &[Scenario] = &[
    one("4.1", "no_endpoint_refuses_a_pod", (PLAIN, &[]), (Pod, &[ClusterIp]), REFUSED),
    one("4.1", "no_endpoint_refuses_the_host", (PLAIN, &[]), (Host, &[ClusterIp]), HOST_REFUSED),
    one(
        "4.1",
        "no_endpoint_refuses_a_client_outside_at_the_node_port",
        (PLAIN, &[]),
        (Outside, &[NodePort]),
        REFUSED,
    ),
    one(
        "4.1",
        "no_endpoint_refuses_a_client_outside_at_the_load_balancer",
        (PLAIN, &[]),
        (Outside, &[LoadBalancer]),
        REFUSED,
    ),
    one(
        "4.1",
        "no_endpoint_refuses_a_client_outside_at_the_external_ip",
        (PLAIN, &[]),
        (Outside, &[ExternalIp]),
        REFUSED,
    ),
    one(
        "4.1",
        "no_endpoint_refuses_also_with_external_policy_local",
        (EXTERNAL, &[]),
        (Outside, &[NodePort]),
        REFUSED,
    ),
    one(
        "4.2",
        "internal_policy_local_drops_a_pod_without_local_endpoint",
        (INTERNAL, FAR),
        (Pod, &[ClusterIp]),
        expect("no answer"),
    ),
    one(
        "4.2",
        "internal_policy_local_drops_the_host_without_local_endpoint",
        (INTERNAL, FAR),
        (Host, &[ClusterIp]),
        HOST_DROPPED,
    ),
    one(
        "4.2",
        "internal_policy_local_says_nothing_about_the_node_port",
        (INTERNAL, FAR),
        (Outside, &[NodePort]),
        expect("far as node1"),
    ),
    one(
        "4.3",
        "external_policy_local_drops_at_the_node_port_without_local_endpoint",
        (EXTERNAL, FAR),
        (Outside, &[NodePort]),
        expect("no answer"),
    ),
    one(
        "4.3",
        "external_policy_local_drops_at_the_load_balancer_without_local_endpoint",
        (EXTERNAL, FAR),
        (Outside, &[LoadBalancer]),
        expect("no answer"),
    ),
    one(
        "4.4",
        "external_policy_local_serves_pods_from_anywhere_at_the_load_balancer",
        (EXTERNAL, FAR),
        (Pod, &[LoadBalancer]),
        expect("far as the client"),
    ),
    one(
        "4.4",
        "external_policy_local_serves_the_host_from_anywhere_at_the_load_balancer",
        (EXTERNAL, FAR),
        (Host, &[LoadBalancer]),
        expect("far as the client"),
    ),
    one(
        "4.4",
        "external_policy_local_serves_pods_from_anywhere_at_the_node_port",
        (EXTERNAL, FAR),
        (Pod, &[NodePort]),
        expect("far as the client"),
    ),
    one(
        "4.5",
        "a_client_outside_the_source_ranges_is_dropped",
        (RANGED, BOTH),
        (Outside, &[LoadBalancer]),
        expect("no answer"),
    ),
    one(
        "4.5",
        "a_pod_outside_the_source_ranges_is_dropped",
        (RANGED, BOTH),
        (Pod, &[LoadBalancer]),
        expect("no answer"),
    ),
    one(
        "4.5",
        "the_host_outside_the_source_ranges_is_dropped",
        (RANGED, BOTH),
        (Host, &[LoadBalancer]),
        HOST_DROPPED,
    ),
    one(
        "4.5",
        "the_host_inside_the_source_ranges_is_served",
        (RANGED_LAN, FAR),
        (Host, &[LoadBalancer]),
        expect("far as the client"),
    ),
    one(
        "4.5",
        "source_ranges_say_nothing_about_the_node_port",
        (RANGED, FAR),
        (Outside, &[NodePort]),
        expect("far as node1"),
    ),
    one(
        "4.5",
        "a_client_inside_the_source_ranges_is_served",
        (RANGED_LAN, FAR),
        (Outside, &[LoadBalancer]),
        expect("far as node1"),
    ),
    one(
        "4.5",
        "source_ranges_say_nothing_about_the_external_ip",
        (RANGED, FAR),
        (Outside, &[ExternalIp]),
        expect("far as node1"),
    ),
    one(
        "4.6",
        "a_port_that_the_cluster_ip_does_not_have_refuses_a_pod",
        (PLAIN, BOTH),
        (Pod, &[ClusterIpOtherPort]),
        REFUSED,
    ),
    one(
        "4.6",
        "a_port_that_the_cluster_ip_does_not_have_refuses_the_host",
        (PLAIN, BOTH),
        (Host, &[ClusterIpOtherPort]),
        HOST_REFUSED,
    ),
    one(
        "4.7",
        "an_unallocated_cluster_ip_drops_a_pod",
        (PLAIN, BOTH),
        (Pod, &[Unallocated]),
        expect("no answer"),
    ),
    one(
        "4.7",
        "an_unallocated_cluster_ip_drops_the_host",
        (PLAIN, BOTH),
        (Host, &[Unallocated]),
        HOST_DROPPED,
    ),
    one(
        "4.8",
        "a_port_that_a_load_balancer_does_not_have_is_not_touched",
        (PLAIN, BOTH),
        (Outside, &[LoadBalancerOtherPort]),
        expect("elsewhere as the client"),
    ),
    one("4.9", "a_ping_of_a_pod_is_answered", (PLAIN, BOTH), (Pod, &[ClusterIp]), echo("refused"))
        .by(PING),
    one(
        "4.9",
        "a_ping_of_the_host_is_answered",
        (PLAIN, BOTH),
        (Host, &[ClusterIp]),
        echo("IPv4: not permitted; IPv6: refused"),
    )
    .by(PING),
    one(
        "4.9",
        "a_ping_of_a_client_outside_is_answered",
        (PLAIN, BOTH),
        (Outside, &[LoadBalancer]),
        echo("no answer"),
    )
    .by(PING),
];
