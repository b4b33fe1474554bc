//! Section 9: errors, fragments, families.

use super::{Row, row};

pub(super) const PACKETS: &[Row] = &[
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
        "IPv4 and IPv6 fragments, in any order",
        &[
            "fragments_in_any_order_are_put_together",
            "fragments_that_are_lost_do_no_harm",
            "fragments_go_where_their_first_one_goes",
            "fragments_are_masqueraded_both_ways",
            "fragments_that_come_before_their_first_one_are_held_until_it_comes",
            "fragments_of_answers_are_held_at_egress",
            "fragments_of_tcp_go_where_their_first_one_goes",
            "extension_headers_stand_before_and_behind_the_fragment_header",
        ],
    ),
    row(
        "9.4",
        "Within bounded memory, with a time-out, counted when they are given up",
        &[
            "held_fragments_are_given_up_when_they_are_too_old",
            "what_was_held_longest_makes_room",
            "a_first_one_that_comes_too_late_sends_nothing_on",
        ],
    ),
    row(
        "9.5",
        "A datagram's number that is used again never meets the old verdict",
        &[
            "a_number_that_is_used_again_never_meets_the_old_verdict",
            "a_complete_datagram_is_forgotten",
            "two_programs_in_a_row_may_see_the_same_fragments",
            "each_hook_of_each_device_knows_its_own_datagrams",
        ],
    ),
    row(
        "9.6",
        "A first fragment without its transport header opens nothing",
        &["a_first_fragment_without_its_transport_header_is_dropped_and_so_are_the_others"],
    ),
    row(
        "9.7",
        "IPv4 and IPv6 are independent; options and extension headers are walked, in a quote too",
        &[
            "services_of_one_family",
            "ipv4_options_are_handled",
            "ipv6_extension_headers_are_walked",
            "extension_headers_that_must_not_be_passed_are_untouched_and_counted",
            "quoted_ipv4_options_are_handled",
            "quoted_ipv6_extension_headers_are_walked",
        ],
    ),
    row(
        "9.8",
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
        "9.9",
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
    row(
        "9.10",
        "A UDP checksum of zero stays zero over IPv4",
        &[
            "a_udp_checksum_of_zero_stays_zero_over_ipv4",
            "a_quoted_udp_checksum_of_zero_stays_zero",
        ],
    ),
    row(
        "9.11",
        "Nothing answers ARP or NDP for a service's address",
        &["arp_and_ndp_for_a_service_are_untouched"],
    ),
];
