//! The difference between what the kernel holds and what it should hold, as ordered operations.
//!
//! The [`Ledger`] says which ids and which range of slots belong to whom; the difference itself is
//! taken against [`kernel::KernelState`], entry by entry. What was not written, or was lost, is
//! therefore part of the next plan, whatever the reason.
//!
//! A service's operations come in this order, so that no packet meets half of a change:
//!
//! ```text
//! Watch  SetName  SetBackend (serves more)
//! SetFrontend (no longer bound to this node's endpoints)
//! SetSlots (a fresh range)  SetService (the switch)  SetBackend (serves less)
//! AddSource  SetFrontend
//! RemoveFrontend  RemoveSource  RemoveService  SetBackend (no longer serving)
//! ... when the grace time is over and the last flow has ended:
//! RemoveBackend  Unwatch  RemoveName
//! ```

mod additions;
mod adopt;
mod extend;
mod ids;
pub mod kernel;
mod ledger;
mod node;
pub mod operation;
mod ranges;
pub(crate) mod release;
mod trim;
mod watches;

pub use ledger::{Ledger, Limits, Shortage};
pub use node::NodeRanges;
pub use operation::Operation;
pub use release::LiveFlows;

use operation::ServicePort;

use crate::desired::DesiredPort;

/// What should become of a service port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// It should be like this.
    Set(DesiredPort),
    /// It should not be.
    Remove(ServicePort),
}

impl Work {
    /// The service port that it is about.
    pub fn owner(&self) -> &ServicePort {
        match self {
            Self::Set(desired) => &desired.owner,
            Self::Remove(owner) => owner,
        }
    }
}

/// Ordered operations. Carried out in full, they make the maps what they should be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Takes away what an earlier agent left behind and nobody owns, and says what is no service
    /// port's: [`NodeRanges`].
    pub repairs: Vec<Operation>,
    /// Lets addresses through the probe; nothing else makes sense before.
    pub watches: Vec<Operation>,
    /// One step for each service port. All additions come before all removals.
    pub steps: Vec<Step>,
    /// What did not fit.
    pub shortages: Vec<Shortage>,
}

/// The operations of one service port. When one fails, the rest of the step is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whose operations these are.
    pub owner: ServicePort,
    /// What is new.
    pub additions: Vec<Operation>,
    /// What is over.
    pub removals: Vec<Operation>,
}

impl Plan {
    /// All operations, in order.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        let additions = self.steps.iter().flat_map(|step| &step.additions);
        let removals = self.steps.iter().flat_map(|step| &step.removals);
        self.repairs.iter().chain(&self.watches).chain(additions).chain(removals)
    }
}
