//! Section 9: errors, fragments, families.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "9.1",
        "ICMP errors are translated both ways, the quoted packet included",
        &[
            "an_error_about_a_masqueraded_packet_travels_all_four_ways",
            "an_error_about_a_packet_that_keeps_its_client_is_translated_where_its_packets_are",
            "an_error_about_a_hairpin_is_given_the_ports_of_its_flow",
            "a_backends_own_error_comes_from_the_frontend",
            "a_clients_own_error_comes_from_the_masquerade_address",
            "an_error_about_no_flow_is_untouched_and_opens_none",
            "an_error_leaves_the_state_and_the_age_of_its_flow_alone",
            "closed_port_of_an_endpoint_is_told",
            "error_of_a_client_reaches_the_endpoint",
            "refusal_of_a_router_is_told",
            "traceroute_shows_the_hops",
        ],
    ),
    row(
        "9.2",
        "Path-MTU discovery works through every frontend",
        &["path_mtu_towards_clients_is_found", "path_mtu_between_nodes_is_found"],
    ),
    row(
        "9.3",
        "IPv4 options and IPv6 extension headers, within a bound, in a quoted packet too",
        &[
            "ipv4_options_are_handled",
            "ipv6_extension_headers_are_walked",
            "extension_headers_that_must_not_be_passed_are_untouched_and_counted",
            "quoted_ipv4_options_are_handled",
            "quoted_ipv6_extension_headers_are_walked",
        ],
    ),
    row(
        "9.4",
        "A malformed or truncated packet or quote is passed and counted, never rewritten",
        &[
            "wrong_lengths_are_untouched_and_counted",
            "truncated_frames_are_untouched",
            "odd_packets_do_no_harm",
            "a_truncated_quote_is_untouched_and_counted",
            "a_quote_that_contradicts_itself_is_untouched_and_counted",
        ],
    ),
    row(
        "9.5",
        "A UDP checksum of zero stays zero over IPv4",
        &[
            "a_udp_checksum_of_zero_stays_zero_over_ipv4",
            "a_quoted_udp_checksum_of_zero_stays_zero",
        ],
    ),
];
