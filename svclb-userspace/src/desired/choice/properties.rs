//! What must hold for any endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    plan::operation::Protocol,
    snapshot::{EndpointPort, Hints},
};

const POLICIES: [TrafficPolicy; 2] = [TrafficPolicy::Cluster, TrafficPolicy::Local];

fn names(names: &'static [&'static str]) -> impl Strategy<Value = Box<[Arc<str>]>> {
    let names = vec(select(names), 0..3);
    names.prop_map(|names| names.into_iter().map(Into::into).collect())
}

/// Endpoints that often have each other's addresses, half of them ready.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ready = Just([true, true, false]);
    let conditions = prop_oneof![1 => ready, 1 => any::<[bool; 3]>()];
    let node = select(&[None, Some("here"), Some("there")][..]);
    let hints = (names(&["here", "there", "x"]), names(&["a", "b"]));
    (1_u8..9, conditions, node, hints).prop_map(|(last, conditions, node, (nodes, zones))| {
        let [ready, serving, terminating] = conditions;
        Endpoint {
            address: [10, 0, 0, last].into(),
            ready,
            serving,
            terminating,
            node: node.map(Into::into),
            hints: Hints { nodes, zones },
        }
    })
}

fn slice() -> impl Strategy<Value = EndpointSlice> {
    vec(endpoint(), 0..5).prop_map(|endpoints| EndpointSlice {
        service: "web".into(),
        family: Family::V4,
        ports: vec![EndpointPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints,
        triggered: None,
    })
}

fn slices() -> impl Strategy<Value = Vec<EndpointSlice>> {
    vec(slice(), 0..4)
}

fn node() -> impl Strategy<Value = NodeContext> {
    let addresses = vec((1_u8..9).prop_map(|last| [10, 0, 0, last].into()), 0..2);
    (addresses, select(&[None, Some("a")][..])).prop_map(|(addresses, zone)| NodeContext {
        name: "here".into(),
        zone: zone.map(Into::into),
        addresses: addresses.into_iter().collect(),
        ..NodeContext::default()
    })
}

fn choice(slices: &[EndpointSlice], node: &NodeContext) -> Choice {
    let port = Port { name: "http".into(), protocol: Protocol::Tcp, port: 80, node_port: 0 };
    choose(slices.iter(), &port, Family::V4, node)
}

fn set(choice: &Choice, policy: TrafficPolicy) -> Vec<SocketAddr> {
    choice.set(policy).map(|judged| judged.address).collect()
}

fn endpoints(slices: &[EndpointSlice]) -> impl Iterator<Item = &Endpoint> {
    slices.iter().flat_map(|slice| &slice.endpoints)
}

/// The same slices without hints. Which of several endpoints with one address counts may depend on
/// their hints, but only where their conditions are the same.
fn without_hints(slices: &[EndpointSlice]) -> Vec<EndpointSlice> {
    let mut plain = slices.to_vec();
    for endpoint in plain.iter_mut().flat_map(|slice| &mut slice.endpoints) {
        endpoint.hints = Hints::default();
    }
    plain
}

proptest! {
    #[test]
    fn order_of_slices_and_endpoints_never_matters(
        (slices, shuffled) in slices().prop_flat_map(|slices| {
            (Just(slices.clone()), Just(slices).prop_shuffle())
        }),
        node in node(),
    ) {
        let mut reversed = shuffled;
        reversed.iter_mut().for_each(|slice| slice.endpoints.reverse());
        prop_assert_eq!(choice(&slices, &node), choice(&reversed, &node));
    }

    #[test]
    fn every_endpoint_has_exactly_one_reason(slices in slices(), node in node()) {
        let choice = choice(&slices, &node);
        let mut judged: Vec<_> = choice.endpoints.iter().map(|j| j.address.ip()).collect();
        let mut given: Vec<_> = endpoints(&slices).map(|endpoint| endpoint.address).collect();
        judged.sort();
        given.sort();
        prop_assert_eq!(judged, given);
        let mut counting = BTreeMap::new();
        for judged in &choice.endpoints {
            let duplicate = judged.cluster == Reason::Duplicate;
            prop_assert_eq!(duplicate, judged.local == Reason::Duplicate);
            *counting.entry(judged.address).or_insert(0) += usize::from(!duplicate);
        }
        prop_assert!(counting.values().all(|count| *count == 1), "of one address, one counts");
    }

    #[test]
    fn an_address_serves_only_if_it_is_ready_or_serves_to_its_end(
        slices in slices(), node in node(),
    ) {
        let able = |e: &&Endpoint| e.ready || e.serving && e.terminating;
        let able: BTreeSet<_> = endpoints(&slices).filter(able).map(|e| e.address).collect();
        let choice = choice(&slices, &node);
        for address in POLICIES.iter().flat_map(|policy| set(&choice, *policy)) {
            prop_assert!(able.contains(&address.ip()), "{address}");
        }
    }

    #[test]
    fn a_set_has_ready_endpoints_or_last_resorts_but_never_both(
        slices in slices(), node in node(),
    ) {
        let choice = choice(&slices, &node);
        for policy in POLICIES {
            let reasons: BTreeSet<_> = choice.set(policy).map(|j| j.reason(policy)).collect();
            prop_assert!(reasons.len() <= 1, "{reasons:?}");
        }
    }

    #[test]
    fn the_local_set_is_of_local_endpoints_and_empty_if_the_cluster_set_is(
        slices in slices(), node in node(),
    ) {
        let choice = choice(&slices, &node);
        prop_assert!(choice.set(TrafficPolicy::Local).all(|judged| judged.is_local));
        if choice.is_empty(TrafficPolicy::Cluster) {
            prop_assert!(choice.is_empty(TrafficPolicy::Local));
        }
    }

    #[test]
    fn topology_never_touches_the_local_set(slices in slices(), node in node()) {
        let local = |slices: &[_]| set(&choice(slices, &node), TrafficPolicy::Local);
        prop_assert_eq!(local(&slices), local(&without_hints(&slices)));
    }

    #[test]
    fn topology_narrows_the_cluster_set_and_never_empties_it(slices in slices(), node in node()) {
        let plain = choice(&without_hints(&slices), &node);
        prop_assert_eq!(plain.topology, Topology::Everywhere);
        let all = set(&plain, TrafficPolicy::Cluster);
        let some = set(&choice(&slices, &node), TrafficPolicy::Cluster);
        prop_assert_eq!(some.is_empty(), all.is_empty());
        prop_assert!(some.iter().all(|address| all.contains(address)));
    }

    #[test]
    fn a_hint_rule_applies_to_all_or_none(slices in slices(), node in node()) {
        let choice = choice(&slices, &node);
        let reasons: BTreeSet<_> = choice.endpoints.iter().map(|j| j.cluster).collect();
        let [by_node, by_zone, ready] = [Reason::OtherNode, Reason::OtherZone, Reason::Ready]
            .map(|reason| reasons.contains(&reason));
        match choice.topology {
            Topology::Node => prop_assert!(ready && !by_zone),
            Topology::Zone => prop_assert!(ready && !by_node),
            Topology::Everywhere => prop_assert!(!by_node && !by_zone),
        }
    }
}
