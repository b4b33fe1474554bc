//! A folder of Kubernetes manifests as a source: Services, EndpointSlices, Pods and Nodes.
//!
//! ```text
//! files -> document (YAML to objects) -> folder (which version counts) -> cluster (addresses for
//! Services, endpoints from Pods) -> changes
//! ```
//!
//! All of that is pure; only [`watch`] touches the file system.

mod allocate;
mod arm;
mod cluster;
mod document;
mod endpoints;
mod folder;
mod labels;
mod pool;
mod ranges;
mod scan;
pub mod watch;

pub use allocate::InUse;
pub use cluster::{Cluster, FileChange};
pub use ranges::Ranges;
pub use watch::Manifests;
