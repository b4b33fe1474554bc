//! Where the cluster's objects come from. Every source ends in the same [`Change`]s.

mod convert;
pub mod manifests;
mod objects;

use crate::{problem::Problem, snapshot::Change};

/// Changes that belong together, and what is wrong with the objects they came from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// What has changed. The first batch of a source ends with [`Change::Listed`].
    pub changes: Vec<Change>,
    /// Objects that could not be understood, in whole or in part.
    pub problems: Vec<Problem>,
}

impl Batch {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_empty()
    }
}
