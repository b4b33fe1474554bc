//! Section 8: flows and their ends.

use super::{Row, row};

pub(super) const FLOWS: &[Row] = &[
    row(
        "8.1",
        "A change of endpoints cuts no running TCP connection whose endpoint is still there",
        &[
            "endpoints_change_under_load",
            "a_new_syn_on_a_closed_flow_is_decided_anew",
            "a_syn_on_an_established_flow_goes_to_its_backend",
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
        "TCP in mid-stream without a flow: a reset (beyond), or untouched while taking over",
        &[
            "tcp_in_mid_stream_without_a_flow_is_reset_at_once",
            "tcp_in_mid_stream_from_outside_the_source_ranges_hears_nothing",
            "tcp_in_mid_stream_is_refused_where_a_frontend_is_asked",
            "while_taking_over_tcp_in_mid_stream_is_left_to_the_kernel",
            "connections_of_another_proxy_survive_a_takeover",
            "connections_of_another_proxy_are_reset_without_takeover",
            "a_connection_of_the_node_may_have_a_node_ports_number",
        ],
    ),
    row(
        "8.3",
        "A UDP flow ends with its endpoint's service, and with its frontend",
        &[
            "udp_clients_of_a_killed_endpoint_reach_another_at_once",
            "host_datagrams_follow_the_endpoints",
            "host_datagrams_are_refused_when_the_last_endpoint_goes",
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
            "host_sockets_are_closed_when_their_endpoint_goes",
            "host_connects_are_given_up_when_their_endpoint_goes",
            "host_sockets_are_closed_by_the_next_agent",
            "sockets_of_pods_are_closed_when_they_are_translated",
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
        "Flows age out by protocol and state",
        &[
            "tcp_states_follow_the_flags",
            "tcp_is_established_by_the_clients_acknowledgement_of_an_answer_only",
            "udp_is_a_stream_once_the_client_goes_on_after_an_answer",
            "time_outs_depend_on_protocol_and_state",
            "flows_expire_without_the_agent_and_by_the_sweep",
        ],
    ),
    row(
        "8.7",
        "A full table is visible, and cuts no flow that is in use",
        &[
            "an_established_flow_is_never_recycled",
            "a_syn_flood_cuts_no_established_flow",
            "a_syn_flood_that_is_answered_cuts_no_established_flow",
            "a_syn_flood_with_fins_cuts_no_established_flow",
            "a_udp_flood_that_is_answered_cuts_no_stream",
            "flows_without_an_answer_make_room_before_those_with_one",
            "a_new_flow_finds_room_behind_established_ones",
            "a_table_full_of_established_flows_refuses_new_ones_by_name",
            "a_table_full_of_established_flows_is_told_before_it_refuses",
            "a_syn_flood_loses_no_connection",
            "a_udp_flood_loses_no_connection",
        ],
    ),
];
