//! Where the cluster's objects come from. Every source ends in the same [`Change`]s.

mod convert;
pub mod kubernetes;
pub mod manifests;
mod object;
mod objects;

use std::time::Instant;

use crate::{problem::Problem, snapshot::Change};
use kubernetes::{Kubernetes, Reporter};
use manifests::Manifests;

/// Where the cluster's objects come from.
#[derive(Debug)]
pub enum Source {
    /// A folder.
    Manifests(Manifests),
    /// A cluster's API.
    Kubernetes(Kubernetes),
}

impl Source {
    /// The next batch; `None` only if what reads it has died. Nothing is lost if the future is
    /// dropped.
    pub async fn next(&mut self) -> Option<Noticed> {
        match self {
            Self::Manifests(source) => source.next().await,
            Self::Kubernetes(source) => source.next().await,
        }
    }

    /// Tells the owners of Services what is wrong with them, where that can be done.
    pub fn reporter(&self) -> Option<Reporter> {
        match self {
            Self::Manifests(_) => None,
            Self::Kubernetes(source) => Some(source.reporter()),
        }
    }
}

/// A batch, and when the source heard of the first of its changes.
pub type Noticed = (Instant, Batch);

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

impl FromIterator<Change> for Batch {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        Self { changes: changes.into_iter().collect(), problems: Vec::new() }
    }
}
