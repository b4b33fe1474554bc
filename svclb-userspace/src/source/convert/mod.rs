//! From the objects as they are written to the snapshot's types.

mod check;
mod node;
mod service;
mod slice;

pub(super) use check::check_service;
pub(super) use node::node;
pub(super) use service::{cluster_ips, has_health_check, is_headless, service};
pub(super) use slice::slice;

/// The label that says whose endpoints a slice holds.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
