//! The rows about what becomes of connections, packets and nodes once it is decided who answers.

use super::{Row, row};

pub(super) const FLOWS: &[Row] = &[
    row("8.1", "A change does not cut a running flow whose endpoint still exists", &[]),
    row("8.2", "TCP in mid-stream without a flow is reset, or left alone when taking over", &[]),
    row("8.3", "A UDP flow is forgotten at once when its endpoint no longer serves", &[]),
    row("8.4", "A TCP flow whose endpoint is gone is reset", &[]),
    row("8.5", "No new flow goes to an endpoint that ends and does not serve", &[]),
    row("8.6", "Flows age out by protocol and state, and a full table cuts no active one", &[]),
];

pub(super) const PACKETS: &[Row] = &[
    row("9.1", "ICMP errors are translated both ways, and path-MTU discovery works", &[]),
    row("9.2", "Fragments in any order", &[]),
    row("9.3", "IPv4 and IPv6 are independent; extension headers are walked within a bound", &[]),
    row("9.4", "IPv4 options work; what is malformed or truncated is never rewritten", &[]),
    row(
        "9.5",
        "TCP, UDP and SCTP, its CRC32c right after each rewrite",
        &[
            "sctp_reaches_cluster_ip",
            "sctp_reaches_node_port",
            "sctp_is_refused_without_endpoint",
            "sctp_without_a_flow_is_aborted",
            "sctp_checksums_are_right_after_each_rewrite_at_any_length",
            "an_sctp_checksum_of_zero_stays_zero",
            "sctp_without_a_flow_is_answered_with_an_abort",
            "an_init_after_the_end_of_an_association_is_balanced_anew",
        ],
    ),
    row("9.6", "A UDP checksum of zero stays zero over IPv4", &[]),
    row("9.7", "Nothing answers ARP or NDP for a service's address", &[]),
];

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
