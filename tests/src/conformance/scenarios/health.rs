//! Section 10: health and readiness.

use super::{
    BOTH, Endpoint,
    Frontend::HealthCheck,
    Place::{Outside, Pod},
    Scenario, Service, expect, one,
};
use crate::traffic::probe::Protocol;

const EXTERNAL: Service = Service::EXTERNAL_LOCAL;
const NEAR: &[Endpoint] = &[Endpoint::NEAR];
const FAR: &[Endpoint] = &[Endpoint::FAR];
const HEALTH: &[Protocol] = &[Protocol::Health];

pub(super) const SCENARIOS: &[Scenario] = &[
    one(
        "10.1",
        "a_health_check_counts_the_endpoints_of_its_node",
        (EXTERNAL, BOTH),
        (Outside, &[HealthCheck]),
        expect("200, 1 here"),
    )
    .by(HEALTH),
    one(
        "10.1",
        "a_health_check_fails_without_endpoints_on_its_node",
        (EXTERNAL, FAR),
        (Outside, &[HealthCheck]),
        expect("503, 0 here"),
    )
    .by(HEALTH),
    one(
        "10.1",
        "a_health_check_fails_once_the_endpoint_of_its_node_is_gone",
        (EXTERNAL, NEAR),
        (Pod, &[HealthCheck]),
        expect("503, 0 here"),
    )
    .then(FAR)
    .by(HEALTH),
    one(
        "10.1",
        "a_health_check_does_not_count_an_endpoint_that_ends",
        (EXTERNAL, &[Endpoint::NEAR.terminating(true)]),
        (Outside, &[HealthCheck]),
        expect("503, 0 here"),
    )
    .by(HEALTH),
];
