//! The cluster as svclb sees it: compact types of our own, the same from every source.
//!
//! A source turns what it reads (a Kubernetes watch, a folder of manifests) into [`Change`]s; the
//! [`Snapshot`] is what they add up to. Only fields that decide something are kept.

mod service;
mod store;

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use ipnet::IpNet;

pub use service::{Port, Service, TrafficPolicy};
pub use store::Snapshot;

use crate::plan::operation::{Family, Protocol};

/// Namespace and name of an object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A part of a Service's endpoints, of one family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointSlice {
    /// Name of the Service, in the slice's namespace.
    pub service: Arc<str>,
    /// Family of the addresses.
    pub family: Family,
    /// The ports that every endpoint of this slice has.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// When what changed the slice last has happened: the Pod or Service that its controller
    /// followed. None if the controller does not say.
    pub triggered: Option<SystemTime>,
}

/// A port of the endpoints of a slice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EndpointPort {
    /// Name of the Service's port.
    pub name: Arc<str>,
    /// Protocol.
    pub protocol: Protocol,
    /// The port that the endpoints listen at.
    pub port: u16,
}

/// One endpoint, its conditions' defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Address, of the slice's family.
    pub address: IpAddr,
    /// New flows may go here.
    pub ready: bool,
    /// It still answers, ready or not.
    pub serving: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// The node it runs on.
    pub node: Option<Arc<str>>,
    /// Whose clients it is meant for, as long as everybody has such endpoints.
    pub hints: Hints,
}

/// Whose clients an endpoint is meant for, by name. An empty list says nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Hints {
    /// Those on these nodes.
    pub nodes: Box<[Arc<str>]>,
    /// Those in these zones.
    pub zones: Box<[Arc<str>]>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Addresses of its status, the internal ones first.
    pub addresses: Vec<IpAddr>,
    /// The zone it is in, if it says so.
    pub zone: Option<Arc<str>>,
    /// The ranges that its pods' addresses are from.
    pub pod_cidrs: Vec<IpNet>,
    /// It is being deleted, or the cluster's autoscaler is about to: no new traffic from load
    /// balancers.
    pub leaving: bool,
}

/// One change of the cluster; `None` is a deletion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A Service has appeared, changed or gone.
    Service(ObjectKey, Option<Service>),
    /// An EndpointSlice has appeared, changed or gone.
    Slice(ObjectKey, Option<EndpointSlice>),
    /// A node has appeared, changed or gone.
    Node(Arc<str>, Option<Node>),
    /// Ranges that ClusterIPs are given out from, under the name of their ServiceCIDR.
    ServiceCidr(Arc<str>, Option<Vec<IpNet>>),
    /// Everything that existed when the source started has been reported. Nothing is written
    /// before: half a list looks like deletions.
    Listed,
}
