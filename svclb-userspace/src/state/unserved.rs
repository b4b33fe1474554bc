//! Frontends that a Service asks for and does not get, for reasons of its own.

use crate::{
    desired::frontends,
    plan::operation::Family,
    problem::{Problem, Reason},
    snapshot::{ObjectKey, Service},
};

/// Addresses that the Service `key` asks for in a family that it does not have.
pub(super) fn of_family<'a>(
    key: &'a ObjectKey,
    service: Option<&'a Service>,
) -> impl Iterator<Item = Problem> + 'a {
    let lost = service.into_iter().flat_map(frontends::without_family);
    lost.map(move |(field, ip)| {
        let family = Family::of(ip);
        let message = format_args!("not served at {ip}: it has no {family} ClusterIP");
        Problem::new(format_args!("Service {key}"), field, message)
            .concerning(key.clone(), Reason::NotServed)
    })
}
