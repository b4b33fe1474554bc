//! All objects that are known, and which Services a change touches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ipnet::IpNet;

use super::{Change, Endpoint, EndpointSlice, Node, ObjectKey, Service};

/// The sum of all changes so far.
#[derive(Debug, Default)]
pub struct Snapshot {
    services: BTreeMap<ObjectKey, Service>,
    slices: HashMap<ObjectKey, EndpointSlice>,
    slices_of: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    nodes: HashMap<Arc<str>, Node>,
    service_cidrs: HashMap<Arc<str>, Vec<IpNet>>,
}

impl Snapshot {
    /// Takes one change in. Adds the Services whose frontends or endpoints may be different now to
    /// `touched`; a change that repeats what is known touches nothing.
    pub fn apply(&mut self, change: Change, touched: &mut BTreeSet<ObjectKey>) {
        match change {
            Change::Service(key, service) => self.apply_service(key, service, touched),
            Change::Slice(key, slice) => self.apply_slice(key, slice, touched),
            Change::Node(name, Some(node)) => {
                self.nodes.insert(name, node);
            }
            Change::Node(name, None) => {
                self.nodes.remove(&name);
            }
            Change::ServiceCidr(name, Some(cidrs)) => {
                self.service_cidrs.insert(name, cidrs);
            }
            Change::ServiceCidr(name, None) => {
                self.service_cidrs.remove(&name);
            }
            Change::Listed => {}
        }
    }

    /// All Services, in the order of their keys.
    pub fn services(&self) -> impl Iterator<Item = (&ObjectKey, &Service)> {
        self.services.iter()
    }

    /// A Service.
    pub fn service(&self, key: &ObjectKey) -> Option<&Service> {
        self.services.get(key)
    }

    /// The slices of a Service, in the order of their keys.
    pub fn slices(&self, service: &ObjectKey) -> impl Iterator<Item = &EndpointSlice> {
        let keys = self.slices_of.get(service).into_iter().flatten();
        keys.filter_map(|key| self.slices.get(key))
    }

    /// A node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The ranges that ClusterIPs are given out from, as far as ServiceCIDRs say so.
    pub fn service_cidrs(&self) -> BTreeSet<IpNet> {
        self.service_cidrs.values().flatten().map(IpNet::trunc).collect()
    }

    /// Whether a change says anything that is not known already.
    pub fn is_news(&self, change: &Change) -> bool {
        match change {
            Change::Service(key, service) => self.services.get(key) != service.as_ref(),
            Change::Slice(key, slice) => self.slices.get(key) != slice.as_ref(),
            Change::Node(name, node) => self.nodes.get(name) != node.as_ref(),
            Change::ServiceCidr(name, cidrs) => self.service_cidrs.get(name) != cidrs.as_ref(),
            Change::Listed => true,
        }
    }

    /// Adds the Services that have such an endpoint to `touched`.
    pub fn touch_endpoints(
        &self,
        is_such: impl Fn(&Endpoint) -> bool,
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        for (service, keys) in &self.slices_of {
            let slices = keys.iter().filter_map(|key| self.slices.get(key));
            if slices.flat_map(|slice| &slice.endpoints).any(&is_such) {
                touched.insert(service.clone());
            }
        }
    }

    /// Adds the Services that have such a source range to `touched`.
    pub fn touch_sources(
        &self,
        is_such: impl Fn(&IpNet) -> bool,
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        let guarded = self.services.iter().filter(|(_, s)| s.source_ranges.iter().any(&is_such));
        touched.extend(guarded.map(|(key, _)| key.clone()));
    }

    fn apply_service(
        &mut self,
        key: ObjectKey,
        service: Option<Service>,
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        if self.services.get(&key) == service.as_ref() {
            return;
        }
        touched.insert(key.clone());
        match service {
            Some(service) => self.services.insert(key, service),
            None => self.services.remove(&key),
        };
    }

    fn apply_slice(
        &mut self,
        key: ObjectKey,
        slice: Option<EndpointSlice>,
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        if self.slices.get(&key) == slice.as_ref() {
            return;
        }
        if let Some(old) = self.slices.remove(&key) {
            let service = ObjectKey { namespace: key.namespace.clone(), name: old.service };
            if let Some(keys) = self.slices_of.get_mut(&service) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.slices_of.remove(&service);
                }
            }
            touched.insert(service);
        }
        if let Some(slice) = slice {
            let name = slice.service.clone();
            let service = ObjectKey { namespace: key.namespace.clone(), name };
            self.slices_of.entry(service.clone()).or_default().insert(key.clone());
            touched.insert(service);
            self.slices.insert(key, slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::operation::Family;

    fn slice(service: &str) -> EndpointSlice {
        let service = service.into();
        EndpointSlice {
            service,
            family: Family::V4,
            ports: Vec::new(),
            endpoints: Vec::new(),
            triggered: None,
        }
    }

    fn touched_by(snapshot: &mut Snapshot, change: Change) -> Vec<String> {
        let mut touched = BTreeSet::new();
        snapshot.apply(change, &mut touched);
        touched.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slice_touches_the_service_it_leaves_and_the_one_it_joins() {
        let mut snapshot = Snapshot::default();
        let key = ObjectKey::new("ns", "slice-1");
        let to = |service| Change::Slice(key.clone(), Some(slice(service)));
        assert_eq!(touched_by(&mut snapshot, to("a")), ["ns/a"]);
        assert_eq!(touched_by(&mut snapshot, to("a")), [""; 0]);
        assert!(!snapshot.is_news(&to("a")) && snapshot.is_news(&to("b")));
        assert_eq!(touched_by(&mut snapshot, to("b")), ["ns/a", "ns/b"]);
        assert_eq!(snapshot.slices(&ObjectKey::new("ns", "a")).count(), 0);
        assert_eq!(snapshot.slices(&ObjectKey::new("ns", "b")).count(), 1);
        assert_eq!(touched_by(&mut snapshot, Change::Slice(key.clone(), None)), ["ns/b"]);
        assert!(snapshot.slices_of.is_empty());
    }

    #[test]
    fn a_service_that_repeats_itself_touches_nothing() {
        let mut snapshot = Snapshot::default();
        let key = ObjectKey::new("ns", "a");
        let set = Change::Service(key.clone(), Some(Service::default()));
        assert_eq!(touched_by(&mut snapshot, set.clone()), ["ns/a"]);
        assert_eq!(touched_by(&mut snapshot, set), [""; 0]);
        assert_eq!(touched_by(&mut snapshot, Change::Service(key.clone(), None)), ["ns/a"]);
        assert_eq!(touched_by(&mut snapshot, Change::Service(key, None)), [""; 0]);
    }
}
