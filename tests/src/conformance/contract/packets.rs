//! Section 9: errors, fragments, families.

use super::{Row, row};

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
