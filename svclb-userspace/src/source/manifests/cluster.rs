//! The part of a cluster's control plane that a folder of manifests needs: addresses for Services,
//! endpoints from Pods. A pure function of the files so far.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
};

use super::{
    allocate::{Allocator, InUse},
    endpoints,
    folder::{Before, Folder},
    labels::{LabelIndex, Labels},
    ranges::Ranges,
};
use crate::{
    problem::Problem,
    snapshot::{self, Change, EndpointSlice, ObjectKey},
    source::{
        Batch,
        object::{Kind, Object, ObjectId},
        objects,
    },
};

/// What has happened to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileChange {
    /// It has these contents.
    Contents(Vec<u8>),
    /// It could not be read; its objects stay as they were.
    Unreadable(String),
    /// It is gone.
    Removed,
}

/// The files, and what follows from them.
#[derive(Debug)]
pub struct Cluster {
    folder: Folder,
    allocator: Allocator,
    /// Taken by the first batch.
    in_use: InUse,
    listed: bool,
    services: HashMap<ObjectKey, snapshot::Service>,
    /// Pods by what they are labelled with, Services by what they select.
    pods_by_label: LabelIndex,
    services_by_label: LabelIndex,
    /// The slices of the folder, by Service.
    slices: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// The slices made from Pods, by Service.
    from_pods: HashMap<ObjectKey, BTreeMap<ObjectKey, EndpointSlice>>,
}

impl Cluster {
    /// An empty folder. Services that come without addresses and ports keep those `in_use`, or get
    /// others from `ranges`.
    pub fn new(ranges: Ranges, in_use: InUse) -> Self {
        Self {
            folder: Folder::default(),
            allocator: Allocator::new(ranges),
            in_use,
            listed: false,
            services: HashMap::new(),
            pods_by_label: LabelIndex::default(),
            services_by_label: LabelIndex::default(),
            slices: HashMap::new(),
            from_pods: HashMap::new(),
        }
    }

    /// Whether the first files have been taken in.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Takes changed files in. The first call must bring all files that there are.
    pub fn update(&mut self, files: impl IntoIterator<Item = (String, FileChange)>) -> Batch {
        let mut batch = Batch::default();
        let mut before = Before::new();
        for (name, change) in files {
            match change {
                FileChange::Contents(bytes) => {
                    batch.problems.extend(self.folder.set(&name, &bytes, &mut before));
                }
                FileChange::Removed => self.folder.remove(&name, &mut before),
                FileChange::Unreadable(message) => {
                    batch.problems.push(Problem::new("", "", message).at(&name, 0));
                }
            }
        }
        before.retain(|id, old| old.as_ref() != self.folder.get(id));
        let touched = self.take_objects(&before, &mut batch);
        self.update_services(&before, &touched, &mut batch);
        for key in &touched {
            self.update_endpoints(key, &mut batch);
        }
        if !mem::replace(&mut self.listed, true) {
            batch.changes.push(Change::Listed);
        }
        batch
    }

    /// Reports nodes, ServiceCIDRs and slices as they are. Returns the Services that any change concerns.
    fn take_objects(&mut self, before: &Before, batch: &mut Batch) -> BTreeSet<ObjectKey> {
        let mut touched = BTreeSet::new();
        for (id, old) in before {
            let new = self.folder.get(id);
            match id.kind {
                Kind::Service => {
                    let labels = [old.as_ref(), new].map(|version| service(version).map(selector));
                    self.services_by_label.replace(&id.key, labels[0], labels[1]);
                    touched.insert(id.key.clone());
                }
                Kind::Pod => {
                    let labels = [old.as_ref(), new].map(|version| pod(version).map(labels));
                    self.pods_by_label.replace(&id.key, labels[0], labels[1]);
                    self.touch_selecting(&id.key, labels, &mut touched);
                }
                Kind::Node => {
                    let node = match new {
                        Some(Object::Node(node)) => Some(node.clone()),
                        _ => None,
                    };
                    batch.changes.push(Change::Node(id.key.name.clone(), node));
                }
                Kind::ServiceCidr => {
                    let cidrs = match new {
                        Some(Object::ServiceCidr(cidrs)) => Some(cidrs.clone()),
                        _ => None,
                    };
                    batch.changes.push(Change::ServiceCidr(id.key.name.clone(), cidrs));
                }
                Kind::EndpointSlice => {
                    let (old, new) = (slice(old.as_ref()).cloned(), slice(new).cloned());
                    self.index_slice(&id.key, old.as_ref(), new.as_ref(), &mut touched);
                    batch.changes.push(Change::Slice(id.key.clone(), new));
                }
            }
        }
        touched
    }

    /// Adds the Services that select a Pod by its labels, as they were or as they are.
    fn touch_selecting(
        &self,
        pod: &ObjectKey,
        versions: [Option<&Labels>; 2],
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        for labels in versions.into_iter().flatten() {
            for key in self.services_by_label.with_any(&pod.namespace, labels) {
                let object = service(self.folder.get(&service_id(key)));
                if object.is_some_and(|object| endpoints::selects(selector(object), labels)) {
                    touched.insert(key.clone());
                }
            }
        }
    }

    fn index_slice(
        &mut self,
        key: &ObjectKey,
        old: Option<&EndpointSlice>,
        new: Option<&EndpointSlice>,
        touched: &mut BTreeSet<ObjectKey>,
    ) {
        let of = |slice: &EndpointSlice| ObjectKey {
            namespace: key.namespace.clone(),
            name: slice.service.clone(),
        };
        if let Some(service) = old.map(of) {
            if let Some(slices) = self.slices.get_mut(&service) {
                slices.remove(key);
                if slices.is_empty() {
                    self.slices.remove(&service);
                }
            }
            touched.insert(service);
        }
        if let Some(service) = new.map(of) {
            self.slices.entry(service.clone()).or_default().insert(key.clone());
            touched.insert(service);
        }
    }

    /// Gives the Services that have changed what they need, and reports them.
    fn update_services(
        &mut self,
        before: &Before,
        touched: &BTreeSet<ObjectKey>,
        batch: &mut Batch,
    ) {
        let changed = |key: &&ObjectKey| before.contains_key(&service_id(key));
        let mut changed: BTreeSet<_> = touched.iter().filter(changed).cloned().collect();
        let mut evicted = BTreeSet::new();
        for key in &changed {
            let old = before.get(&service_id(key)).and_then(Option::as_ref);
            let new = self.folder.get(&service_id(key));
            self.allocator.claim(key, service(old), service(new), &mut evicted);
        }
        let in_use = mem::take(&mut self.in_use);
        for key in &changed {
            if let Some(service) = service(self.folder.get(&service_id(key))) {
                self.allocator.restore(key, service, &in_use);
            }
        }
        changed.append(&mut evicted);
        for key in changed {
            self.complete_service(key, batch);
        }
    }

    fn complete_service(&mut self, key: ObjectKey, batch: &mut Batch) {
        let id = service_id(&key);
        let object = service(self.folder.get(&id));
        let (service, errors) = match object {
            Some(service) => self.allocator.complete(&key, service),
            None => (None, Vec::new()),
        };
        let (file, document) = self.folder.place(&id).unwrap_or_default();
        let problems = errors.into_iter().map(|e| Problem::new(&id, e.field, e.message));
        batch.problems.extend(problems.map(|problem| problem.at(file, document)));
        let known = match &service {
            Some(service) => self.services.insert(key.clone(), service.clone()),
            None => self.services.remove(&key),
        };
        if known != service {
            batch.changes.push(Change::Service(key, service));
        }
    }

    /// Finds the endpoints of a Service among the Pods, unless the folder has slices for it.
    fn update_endpoints(&mut self, key: &ObjectKey, batch: &mut Batch) {
        let new = match (self.services.get(key), service(self.folder.get(&service_id(key)))) {
            (Some(known), Some(object)) if !self.slices.contains_key(key) => {
                let pods = self.pods_by_label.with_rarest(&key.namespace, selector(object));
                let pods = pods.filter_map(|key| pod(self.folder.get(&pod_id(key))));
                let families: Vec<_> = known.families().collect();
                endpoints::slices(key, &object.spec, families.into_iter(), pods)
            }
            _ => BTreeMap::new(),
        };
        let old = self.from_pods.remove(key).unwrap_or_default();
        for gone in old.keys().filter(|slice| !new.contains_key(*slice)) {
            batch.changes.push(Change::Slice(gone.clone(), None));
        }
        for (name, slice) in new.iter().filter(|(name, slice)| old.get(*name) != Some(*slice)) {
            batch.changes.push(Change::Slice(name.clone(), Some(slice.clone())));
        }
        if !new.is_empty() {
            self.from_pods.insert(key.clone(), new);
        }
    }
}

fn service_id(key: &ObjectKey) -> ObjectId {
    ObjectId { kind: Kind::Service, key: key.clone() }
}

fn pod_id(key: &ObjectKey) -> ObjectId {
    ObjectId { kind: Kind::Pod, key: key.clone() }
}

fn selector(service: &objects::Service) -> &Labels {
    &service.spec.selector
}

fn labels(pod: &objects::Pod) -> &Labels {
    &pod.metadata.labels
}

fn pod(object: Option<&Object>) -> Option<&objects::Pod> {
    match object {
        Some(Object::Pod(pod)) => Some(pod),
        _ => None,
    }
}

fn service(object: Option<&Object>) -> Option<&objects::Service> {
    match object {
        Some(Object::Service(service)) => Some(service),
        _ => None,
    }
}

fn slice(object: Option<&Object>) -> Option<&EndpointSlice> {
    match object {
        Some(Object::EndpointSlice(slice)) => slice.as_ref(),
        _ => None,
    }
}
