//! Section 5: source addresses.

use super::{Row, row};

pub(super) const SOURCES: &[Row] = &[
    row("5.1", "A pod's own address is kept to a ClusterIP", &["pod_reaches_far_endpoint"]),
    row("5.2", "A pod that reaches itself is masqueraded", &["pod_reaches_itself"]),
    row(
        "5.3",
        "External policy Cluster, endpoint on another node: masqueraded",
        &["client_reaches_far_endpoint"],
    ),
    row(
        "5.4",
        "External policy Cluster, endpoint on this node: the client is kept (beyond)",
        &["client_reaches_near_endpoint"],
    ),
    row(
        "5.5",
        "External policy Local: never masqueraded",
        &[
            "external_policy_local_keeps_the_client_address",
            "external_policy_local_outside_clients",
        ],
    ),
    row(
        "5.6",
        "A client outside the cluster to a ClusterIP: masqueraded",
        &[
            "a_client_from_outside_is_masqueraded_towards_a_cluster_ip",
            "a_client_behind_a_device_for_pods_is_inside",
        ],
    ),
    row(
        "5.7",
        "An option to masquerade all",
        &["with_masquerade_all_every_client_of_a_cluster_ip_is_masqueraded"],
    ),
    row(
        "5.8",
        "Source ports collide with nothing, and their exhaustion is counted",
        &[
            "full_masquerade_range",
            "masquerade_ports_are_exhausted_by_name_and_recover",
            "a_flood_leaves_masquerade_ports_to_others",
        ],
    ),
    row(
        "5.9",
        "Two flows of one client port to two frontends of one endpoint are kept apart",
        &[
            "one_port_to_two_services_with_one_endpoint",
            "one_port_to_service_then_endpoint",
            "one_port_to_endpoint_then_service",
            "one_client_port_at_a_node_port",
        ],
    ),
];
