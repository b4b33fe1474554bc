//! EndpointSlices.

use std::{sync::Arc, time::SystemTime};

use jiff::Timestamp;

use super::{FieldError, SERVICE_NAME};
use crate::{
    plan::operation::Family,
    snapshot::{Endpoint, EndpointPort, EndpointSlice, Hints},
    source::objects::{self, AddressType, Hint, parse_ip},
};

/// The annotation in which the controller says when what it followed has happened.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The slice as svclb uses it; `None` if it belongs to no Service or holds names.
///
/// # Errors
/// The first field that is wrong.
pub(in crate::source) fn slice(
    object: &objects::EndpointSlice,
) -> Result<Option<EndpointSlice>, FieldError> {
    let family = match object.address_type {
        AddressType::IPv4 => Family::V4,
        AddressType::IPv6 => Family::V6,
        AddressType::Fqdn => return Ok(None),
    };
    let Some(service) = object.metadata.labels.get(SERVICE_NAME) else { return Ok(None) };
    let ports = object.ports.iter().filter_map(|port| {
        let name = port.name.as_deref()?.into();
        Some(EndpointPort { name, protocol: port.protocol.protocol(), port: port.port?.get() })
    });
    let endpoints = object.endpoints.iter().enumerate();
    let endpoints = endpoints.map(|(i, from)| endpoint(i, from, family));
    Ok(Some(EndpointSlice {
        service: service.as_str().into(),
        family,
        ports: ports.collect(),
        endpoints: endpoints.collect::<Result<_, _>>()?,
        triggered: trigger_time(&object.metadata),
    }))
}

/// A time that cannot be read is as good as none: nothing but a measurement needs it.
fn trigger_time(metadata: &objects::Metadata) -> Option<SystemTime> {
    let time: Timestamp = metadata.annotations.get(TRIGGER_TIME)?.parse().ok()?;
    Some(time.into())
}

fn endpoint(i: usize, object: &objects::Endpoint, family: Family) -> Result<Endpoint, FieldError> {
    let error = |field: &str, message| FieldError::new(format!("endpoints[{i}].{field}"), message);
    // All addresses of an endpoint are fungible (EndpointSlice API); consumers take the first.
    let first =
        object.addresses.first().ok_or_else(|| error("addresses", "is empty".to_owned()))?;
    let address = parse_ip(first).map_err(|message| error("addresses[0]", message))?;
    if Family::of(address) != family {
        return Err(error("addresses[0]", format!("{first:?} is not an {family} address")));
    }
    let conditions = object.conditions;
    Ok(Endpoint {
        address,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        node: object.node_name.as_deref().map(Into::into),
        hints: Hints {
            nodes: names(&object.hints.for_nodes),
            zones: names(&object.hints.for_zones),
        },
    })
}

fn names(hints: &[Hint]) -> Box<[Arc<str>]> {
    hints.iter().map(|hint| hint.name.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn a_slice_says_when_it_was_triggered_or_nothing() {
        let triggered = |text: &str| {
            let object = json!({
                "metadata": {
                    "labels": {SERVICE_NAME: "web"},
                    "annotations": {TRIGGER_TIME: text},
                },
                "addressType": "IPv4",
            });
            let slice = slice(&from_value(object).expect("a slice")).expect("valid");
            slice.expect("of a Service").triggered
        };
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_500);
        assert_eq!(triggered("1970-01-01T00:00:01.5Z"), Some(time));
        assert_eq!(triggered("yesterday"), None);
    }

    #[test]
    fn conditions_and_hints_default_to_an_endpoint_that_serves_everybody() {
        let endpoints = |conditions: Value, hints: Value| {
            let object = json!({
                "metadata": {"labels": {SERVICE_NAME: "web"}},
                "addressType": "IPv6",
                "endpoints": [{
                    "addresses": ["fd00::1", "fd00::2"], "conditions": conditions, "hints": hints,
                }],
            });
            let slice = slice(&from_value(object).expect("a slice")).expect("valid");
            slice.expect("of a Service").endpoints
        };
        let plain = Endpoint {
            address: "fd00::1".parse().expect("an address"),
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            hints: Hints::default(),
        };
        for (conditions, hints) in
            [(json!(null), json!(null)), (json!({}), json!({"forZones": null}))]
        {
            assert_eq!(endpoints(conditions, hints), std::slice::from_ref(&plain));
        }
        let conditions = json!({"ready": false, "serving": false, "terminating": true});
        let hints =
            json!({"forZones": [{"name": "a"}, {"name": "b"}], "forNodes": [{"name": "n"}]});
        let hinted = Hints { nodes: ["n".into()].into(), zones: ["a".into(), "b".into()].into() };
        let leaving = Endpoint { ready: false, serving: false, terminating: true, ..plain };
        assert_eq!(endpoints(conditions, hints), [Endpoint { hints: hinted, ..leaving }]);
    }
}
