//! The rows of the contract, and the tests beside the scenarios that
//! prove each.

mod flows;
mod health;
mod packets;
mod sources;
#[cfg(test)]
mod tests;

/// A group of rows.
#[derive(Debug)]
pub struct Section {
    /// Its number.
    pub number: u8,
    /// Its title.
    pub title: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

/// One thing that a service proxy must do.
#[derive(Debug)]
pub struct Row {
    /// `<section>.<number>`.
    pub id: &'static str,
    /// What it says.
    pub text: &'static str,
    /// Names of tests in the suites, beside the scenarios of this row.
    pub tests: &'static [&'static str],
}

const fn row(id: &'static str, text: &'static str, tests: &'static [&'static str]) -> Row {
    Row { id, text, tests }
}

/// All, in order.
pub const SECTIONS: &[Section] = &[
    Section { number: 1, title: "What is watched", rows: WATCHED },
    Section { number: 2, title: "Fields", rows: FIELDS },
    Section { number: 3, title: "Which endpoints serve", rows: CHOICE },
    Section { number: 4, title: "Verdicts", rows: VERDICTS },
    Section { number: 5, title: "Source addresses", rows: sources::SOURCES },
    Section { number: 6, title: "NodePort", rows: NODE_PORT },
    Section { number: 7, title: "Session affinity", rows: AFFINITY },
    Section { number: 8, title: "Flows and their ends", rows: flows::FLOWS },
    Section { number: 9, title: "Errors, fragments, families", rows: packets::PACKETS },
    Section { number: 10, title: "Health and readiness", rows: health::HEALTH },
    Section { number: 11, title: "Getting started and going away", rows: LIFE },
];

const WATCHED: &[Row] = &[
    row(
        "1.1",
        "Services of another proxy, headless ones and ExternalName are skipped",
        &["headless_and_external_services_are_left_alone"],
    ),
    row(
        "1.2",
        "Slices go by the name of their Service, and those of headless ones do not count",
        &["a_slice_touches_the_service_it_leaves_and_the_one_it_joins"],
    ),
    row(
        "1.3",
        "This node: its addresses, zone, ranges of pods, and whether it is leaving",
        &[
            "a_node_says_its_zone_and_its_pods_ranges",
            "a_node_that_is_deleted_or_tainted_for_it_is_leaving",
            "health_follows_the_node",
        ],
    ),
    row(
        "1.4",
        "ServiceCIDRs are known, for ClusterIPs that nobody has",
        &[
            "service_cidrs_come_from_the_api",
            "service_cidrs_are_those_of_the_objects_and_of_the_operator",
        ],
    ),
    row(
        "1.5",
        "Nothing is programmed before Services and slices were both listed once",
        &[
            "nothing_is_known_of_ranges_before_everything_is_listed",
            "a_restart_writes_nothing_but_the_probe",
        ],
    ),
    row(
        "1.6",
        "The same address and port in several slices is one endpoint, and a local one wins",
        &["same_address_in_several_slices_is_one_endpoint_and_a_local_one_wins"],
    ),
];

const FIELDS: &[Row] = &[
    row(
        "2.1",
        "Each type of Service, several ports, ports without a NodePort",
        &[
            "services_of_each_type_carry_traffic",
            "the_usual_manifests_work_as_they_are",
            "a_port_without_a_node_port_has_none",
            "the_type_changes",
            "the_families_change",
        ],
    ),
    row(
        "2.2",
        "A load balancer's addresses are served unless it is a proxy",
        &["only_addresses_of_load_balancers_that_are_no_proxies_are_served"],
    ),
    row(
        "2.3",
        "Topology acts through hints only, unready endpoints through their conditions only",
        &["what_a_service_publishes_as_ready_serves"],
    ),
    row(
        "2.4",
        "A frontend is an address, a port and a protocol",
        &["a_frontend_is_an_address_a_port_and_a_protocol"],
    ),
    row(
        "2.5",
        "Of a slice, the first address counts, ports that are named and numbered, IP only",
        &["only_slices_with_the_port_count"],
    ),
    row(
        "2.6",
        "Conditions that are not said: ready, serving, not terminating",
        &["conditions_and_hints_default_to_an_endpoint_that_serves_everybody"],
    ),
];

const CHOICE: &[Row] = &[
    row(
        "3.1",
        "Cluster set: those that are ready; without any, those that end and still serve",
        &[
            "cluster_set_is_ready_endpoints_and_without_any_those_serving_and_terminating",
            "pod_reaches_near_endpoint",
            "pod_reaches_far_endpoint",
            "host_reaches_cluster_ip",
        ],
    ),
    row(
        "3.2",
        "Local set: the same of this node alone, whatever the topology",
        &[
            "local_set_is_ready_local_endpoints_and_without_any_local_ones_serving_and_terminating",
            "topology_does_not_touch_the_local_set",
        ],
    ),
    row(
        "3.3",
        "By node: where all ready endpoints have hints and one names this node",
        &["topology_by_node_when_every_ready_endpoint_has_node_hints_and_one_names_this_node"],
    ),
    row(
        "3.4",
        "Else by zone, likewise",
        &[
            "topology_else_by_zone_when_every_ready_endpoint_has_zone_hints_and_one_names_this_zone",
            "topology_by_zone_needs_a_node_with_a_zone",
        ],
    ),
    row("3.5", "Ending and not serving: never", &["terminating_and_not_serving_never"]),
];

const VERDICTS: &[Row] = &[
    row(
        "4.1",
        "No endpoint anywhere: refused at once",
        &[
            "no_endpoint_anywhere_is_refused_whoever_asks_and_whatever_the_policy",
            "tcp_is_refused_with_a_reset_and_everything_else_as_port_unreachable",
            "host_is_refused_without_endpoint",
            "no_endpoint_is_refused",
            "a_service_without_endpoints_is_refused_at_its_cluster_ip_and_node_port",
        ],
    ),
    row(
        "4.2",
        "Internal policy Local and no local endpoint: dropped, at the ClusterIP only",
        &[
            "internal_policy_local_none_local_drops",
            "internal_policy_local_without_local_endpoints_drops_at_the_cluster_ip_only",
        ],
    ),
    row(
        "4.3",
        "External policy Local and no local endpoint, asked from outside: dropped",
        &[
            "external_policy_local_none_local",
            "external_policy_local_without_local_endpoints_drops_clients_from_outside",
        ],
    ),
    row(
        "4.4",
        "The same, asked by a pod or this host: the cluster set serves",
        &[
            "external_policy_local_clients_inside",
            "external_policy_local_serves_pods_and_this_host_from_the_cluster_set",
        ],
    ),
    row(
        "4.5",
        "Outside the source ranges: dropped, at load balancers' addresses only",
        &[
            "clients_outside_the_source_ranges_are_dropped_at_load_balancer_ips_only",
            "source_ranges_of_one_family_say_nothing_about_the_other",
            "clients_outside_the_source_ranges_may_not_ask",
            "source_ranges_admit_and_drop_clients_outside",
            "source_ranges_hold_inside_the_cluster",
            "a_listed_node_address_admits_the_load_balancer_address_as_a_source",
        ],
    ),
    row(
        "4.6",
        "A port that an allocated ClusterIP does not have: refused",
        &[
            "unused_port_of_a_cluster_ip_is_refused",
            "a_port_that_an_allocated_cluster_ip_does_not_have_is_refused",
        ],
    ),
    row(
        "4.7",
        "An unallocated address inside a ServiceCIDR: dropped",
        &[
            "unallocated_cluster_ip_is_dropped",
            "an_unallocated_address_inside_a_service_cidr_is_dropped",
        ],
    ),
    row(
        "4.8",
        "A port that a load balancer's address does not have: not touched",
        &[
            "load_balancers_that_are_proxies_are_left_alone",
            "an_external_address_at_another_port_and_a_proxy_are_not_touched",
        ],
    ),
    row(
        "4.9",
        "A ping to a VIP is answered by the data plane (beyond)",
        &[
            "cluster_ip_answers_ping",
            "ping_is_answered_by_the_mode",
            "a_ping_to_a_vip_is_answered_unless_the_address_is_the_nodes_own",
        ],
    ),
];

const NODE_PORT: &[Row] = &[
    row(
        "6.1",
        "At the node's addresses but loopback, or those that an option names",
        &[
            "pod_reaches_node_port",
            "node_port_answers_where_the_option_says",
            "node_port_answers_through_a_device_without_a_link_header",
        ],
    ),
    row(
        "6.2",
        "Addresses of the node come and go",
        &[
            "node_port_follows_the_nodes_addresses",
            "node_port_at_primary_addresses_follows_the_node_object",
        ],
    ),
    row("6.3", "At localhost, too (beyond)", &["host_reaches_node_port_on_localhost"]),
    row(
        "6.4",
        "Processes of the node are served: TCP, UDP",
        &["host_reaches_node_port", "host_datagrams_are_answered_by_whom_was_asked"],
    ),
];

const AFFINITY: &[Row] = &[
    row(
        "7.1",
        "By client and Service port, over all frontends",
        &[
            "affinity_pins_clients_at_all_frontends",
            "affinity_is_one_for_packets_and_sockets",
            "a_client_stays_at_every_frontend_of_the_service_port",
        ],
    ),
    row(
        "7.2",
        "Each new connection refreshes it",
        &["the_time_out_is_honoured", "packets_of_an_old_connection_do_not_refresh_it"],
    ),
    row(
        "7.3",
        "It goes with its endpoint",
        &[
            "affinity_ends_with_its_endpoint",
            "a_client_moves_when_its_endpoint_goes_and_stays_there",
        ],
    ),
    row(
        "7.4",
        "It ends with its time-out",
        &["affinity_ends_with_its_time_out", "affinity_has_a_time_out_only_where_it_is_asked_for"],
    ),
];

const LIFE: &[Row] = &[
    row(
        "11.1",
        "The API server is reached without its ClusterIP",
        &["a_dead_api_server_is_left_for_the_next"],
    ),
    row(
        "11.2",
        "A restart writes only the difference, and serves meanwhile",
        &[
            "a_killed_agent_adopts_and_writes_only_the_difference",
            "a_restart_writes_nothing_but_the_probe",
            "a_restart_writes_what_has_changed_meanwhile",
            "connections_survive_a_restart",
        ],
    ),
    row(
        "11.3",
        "While no API server answers, the last known state serves",
        &["traffic_outlives_the_apiserver"],
    ),
    row(
        "11.4",
        "An address can be left to the host by the name of its Service",
        &[
            "an_address_is_left_to_the_host",
            "ports_of_a_cluster_ip_that_is_on_an_interface_are_left_to_it",
        ],
    ),
    row(
        "11.5",
        "Pods that are born while the agent is away get their Services",
        &["new_pods_first_connection_works", "host_is_served_without_the_agent"],
    ),
    row(
        "11.6",
        "Programs of others stay, its own go when told so",
        &["foreign_programs_still_run", "unload_leaves_nothing"],
    ),
];
