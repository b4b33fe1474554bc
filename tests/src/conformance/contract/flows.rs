//! Flows and their ends.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "8.1",
        "A change does not cut a TCP connection whose endpoint is there",
        &[
            "connections_to_a_terminating_endpoint_go_on",
            "connections_outlive_their_service",
            "rolling_replacement_fails_no_request",
            "a_connection_whose_endpoint_is_merely_leaving_goes_on",
            "a_pod_whose_port_changes_has_not_vanished",
            "the_end_of_a_service_says_nothing_of_its_pods",
        ],
    ),
    row(
        "8.2",
        "TCP in mid-stream without a flow",
        &["tcp_in_mid_stream_without_a_flow_is_dropped_and_counted"],
    ),
    row(
        "8.3",
        "A UDP flow ends with its endpoint's service, and with its frontend",
        &[
            "udp_clients_of_a_killed_endpoint_reach_another_at_once",
            "a_udp_flow_goes_with_its_frontend",
            "a_udp_flow_is_forgotten_when_its_endpoint_no_longer_serves",
            "a_udp_flow_is_forgotten_when_its_frontend_is_removed_though_its_endpoint_serves",
            "a_udp_flow_ends_with_its_frontend_and_when_idle_with_its_endpoint",
        ],
    ),
    row(
        "8.4",
        "A TCP connection whose endpoint has vanished is reset (beyond)",
        &[
            "clients_of_a_killed_endpoint_are_reset_within_a_second",
            "both_ends_are_reset_when_an_endpoint_leaves_the_slices",
            "a_connection_whose_endpoint_vanished_is_reset_at_both_ends",
            "a_masqueraded_connection_whose_endpoint_vanished_is_reset_at_both_ends",
            "without_the_option_a_connection_is_left_to_itself",
        ],
    ),
    row(
        "8.5",
        "No new flow to an endpoint that terminates and does not serve",
        &[
            "a_syn_that_nobody_answered_is_retried_elsewhere_when_its_endpoint_is_gone",
            "an_attempt_to_connect_to_an_endpoint_that_vanished_is_forgotten",
        ],
    ),
    row(
        "8.6",
        "Flows age out by protocol and state; a full table cuts no active one",
        &[
            "flows_expire_without_the_agent_and_by_the_sweep",
            "a_full_table_evicts_flows_without_a_reply_and_never_established_ones",
        ],
    ),
];
