//! Rows about fragments.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "9.1",
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
        "9.2",
        "Within bounded memory, with a time-out, counted when they are given up",
        &[
            "held_fragments_are_given_up_when_they_are_too_old",
            "what_was_held_longest_makes_room",
            "a_first_one_that_comes_too_late_sends_nothing_on",
        ],
    ),
    row(
        "9.3",
        "A datagram's number that is used again never meets the old verdict",
        &[
            "a_number_that_is_used_again_never_meets_the_old_verdict",
            "a_complete_datagram_is_forgotten",
            "each_hook_of_each_device_knows_its_own_datagrams",
        ],
    ),
    row(
        "9.4",
        "A first fragment without its transport header opens nothing",
        &["a_first_fragment_without_its_transport_header_is_dropped_and_so_are_the_others"],
    ),
];
