//! Sections 1 and 2: what is watched, and fields.

use super::{
    BOTH, Endpoint,
    Frontend::{ClusterIp, LoadBalancer},
    Place::{Outside, Pod},
    REFUSED, Scenario, Server, Service, expect, one,
};

const ANOTHERS: Service =
    Service { label: Some(("service.kubernetes.io/service-proxy-name", "another")), ..PLAIN };
const HEADLESS_SLICES: Service =
    Service { slice_label: Some(("service.kubernetes.io/headless", "")), ..PLAIN };
const PLAIN: Service = Service::PLAIN;

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "1.1",
        "a_service_of_another_proxy_is_left_alone",
        (ANOTHERS, BOTH),
        (Pod, &[ClusterIp]),
        expect("no answer"),
    ),
    one(
        "1.2",
        "slices_of_a_headless_service_do_not_count",
        (HEADLESS_SLICES, BOTH),
        (Pod, &[ClusterIp]),
        REFUSED,
    ),
    one(
        "2.2",
        "a_load_balancer_that_hands_packets_on_is_served",
        (Service { ip_mode: Some("VIP"), ..PLAIN }, &[Endpoint::FAR]),
        (Outside, &[LoadBalancer]),
        expect("far as node1"),
    ),
    one(
        "2.2",
        "a_load_balancer_that_is_a_proxy_is_not_touched",
        (Service { ip_mode: Some("Proxy"), ..PLAIN }, BOTH),
        (Outside, &[LoadBalancer]),
        expect("elsewhere as the client"),
    ),
    one(
        "2.4",
        "tcp_and_udp_on_one_port_are_two_frontends",
        (PLAIN, &[Endpoint::NEAR.only("TCP"), Endpoint::FAR.only("UDP")]),
        (Pod, &[ClusterIp]),
        expect("TCP: near as the client; UDP: far as the client"),
    ),
    one(
        "2.5",
        "only_the_first_address_of_an_endpoint_counts",
        (PLAIN, &[Endpoint::NEAR.and(Server::Far)]),
        (Pod, &[ClusterIp]),
        expect("near as the client"),
    ),
    one(
        "2.6",
        "an_endpoint_without_conditions_serves",
        (PLAIN, &[Endpoint::NEAR.unsaid(), Endpoint::FAR.unsaid()]),
        (Pod, &[ClusterIp]),
        expect("far, near as the client"),
    ),
];
