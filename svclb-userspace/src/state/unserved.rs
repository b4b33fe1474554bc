//! Frontends that a Service asks for and does not get, for reasons of its own.

use super::execute::problem;
use crate::{
    desired::{DesiredPort, frontends},
    plan::operation::Family,
    problem::Problem,
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
    })
}

/// Takes the frontends away that not everybody may ask. The programs know no source ranges, so
/// their addresses are left to the load balancer, which knows them.
pub(super) fn drop_guarded(port: &mut DesiredPort) -> Vec<Problem> {
    let all = std::mem::take(&mut port.frontends);
    let (guarded, open): (Vec<_>, _) =
        all.into_iter().partition(|frontend| port.guard(frontend).is_some());
    port.frontends = open;
    let say = |address| {
        let message = format_args!("not served at {address}: its source ranges are not enforced");
        problem(&port.owner, message)
    };
    guarded.iter().map(|frontend| say(frontend.address)).collect()
}
