//! Section 10: health and readiness.

use super::{Row, row};

pub(super) const HEALTH: &[Row] = &[
    row(
        "10.1",
        "At the health-check node port, 200 only with ready endpoints here and a healthy proxy",
        &[
            "health_check_port_follows_local_endpoints",
            "health_check_port_of_the_api_servers_choice",
            "health_check_port_moves_and_goes",
            "health_check_port_that_is_taken_is_tried_again",
            "only_ready_endpoints_count",
            "no_service_is_well_while_changes_wait_too_long",
        ],
    ),
    row(
        "10.2",
        "It listens at the NodePort addresses, in both families whatever the Service's own",
        &[
            "health_check_port_listens_in_both_families",
            "health_check_port_follows_the_nodes_addresses",
        ],
    ),
    row(
        "10.3",
        "/healthz is 503 when a change waits too long or the node leaves, /livez only for the former",
        &[
            "a_change_that_waits_too_long_fails_both",
            "a_well_agent_on_a_leaving_node_fails_healthz_only",
            "health_follows_the_node",
        ],
    ),
    row(
        "10.4",
        "/proxyMode, and kube-proxy's metrics under their names",
        &[
            "changes_are_measured",
            "what_happened_is_counted_and_measured",
            "services_without_local_endpoints_are_counted",
            "every_metric_is_documented_with_its_type",
        ],
    ),
];
