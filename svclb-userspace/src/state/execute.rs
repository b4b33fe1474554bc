//! Carrying plans out.

use std::{collections::BTreeSet, error::Error as _};

use crate::{
    plan::{Ledger, Operation, Plan, Step, kernel::KernelState, operation::ServicePort},
    problem::Problem,
    snapshot::ObjectKey,
    writer::{MapWriter, WriteError},
};

/// A writer, and what the kernel holds because of it.
#[derive(Debug)]
pub(super) struct Maps<W> {
    pub(super) writer: W,
    pub(super) kernel: KernelState,
    /// Backends that take no new connections, and did or were not known to be gone when this was
    /// last asked.
    pub(super) left: BTreeSet<u32>,
}

/// How far a list of operations was carried out.
pub(super) struct Progress {
    /// The first that was not; all of them were if it is their number.
    pub(super) done: usize,
    /// How many have written to a map.
    pub(super) written: usize,
    /// Why it was not the last.
    pub(super) error: Option<WriteError>,
}

/// What became of a plan.
#[derive(Default)]
pub(super) struct Written {
    /// How many operations have written to a map.
    pub(super) operations: usize,
    /// The Services that are not as they should be.
    pub(super) failed: BTreeSet<ObjectKey>,
    /// Why, by service port.
    pub(super) errors: Vec<(ServicePort, WriteError)>,
    /// What stopped the plan before its first step.
    pub(super) error: Option<WriteError>,
}

impl<W> Maps<W> {
    /// A writer, and what the kernel holds so far.
    pub(super) fn new(writer: W, kernel: KernelState) -> Self {
        let left = kernel.left().map(|(id, _)| id).collect();
        Self { writer, kernel, left }
    }
}

impl<W: MapWriter> Maps<W> {
    /// Carries out all operations up to the first that fails.
    pub(super) fn write(&mut self, operations: &[Operation]) -> Progress {
        let mut progress = Progress { done: 0, written: 0, error: None };
        for operation in operations {
            match self.writer.apply(operation) {
                Ok(written) => progress.written += usize::from(written),
                Err(error) => {
                    self.kernel.forget(operation);
                    progress.error = Some(error);
                    break;
                }
            }
            self.kernel.apply(operation);
            if let Operation::SetBackend(id, entry) = operation
                && !entry.is_serving()
            {
                self.left.insert(*id);
            }
            progress.done += 1;
        }
        progress
    }

    /// Carries a plan out, and tells the ledger how far it came.
    pub(super) fn execute(&mut self, plan: &Plan, ledger: &mut Ledger) -> Written {
        let mut written = Written::default();
        let repairs = self.write(&plan.repairs);
        // Nothing is right before everybody's addresses are watched and nobody's entries are gone.
        let watches = if repairs.error.is_none() { &plan.watches[..] } else { &[] };
        let watches = self.write(watches);
        ledger.confirm(repairs.done, watches.done);
        written.operations += repairs.written + watches.written;
        if let Some(error) = repairs.error.or(watches.error) {
            written.error = Some(error);
            written.failed.extend(plan.steps.iter().map(|step| key(&step.owner)));
            return written;
        }
        self.execute_phase(plan, |step| &step.additions, &mut written);
        self.execute_phase(plan, |step| &step.removals, &mut written);
        written
    }

    fn execute_phase(
        &mut self,
        plan: &Plan,
        phase: impl Fn(&Step) -> &[Operation],
        written: &mut Written,
    ) {
        for step in &plan.steps {
            if phase(step).is_empty() || written.failed.contains(&key(&step.owner)) {
                continue;
            }
            let progress = self.write(phase(step));
            written.operations += progress.written;
            if let Some(error) = progress.error {
                written.errors.push((step.owner.clone(), error));
                written.failed.insert(key(&step.owner));
            }
        }
    }
}

/// The Service of a service port.
pub(super) fn key(owner: &ServicePort) -> ObjectKey {
    ObjectKey::new(&owner.namespace, &owner.name)
}

/// A problem of one port of a Service.
pub(super) fn problem(owner: &ServicePort, message: impl std::fmt::Display) -> Problem {
    let ServicePort { port_name, protocol, family, .. } = owner;
    let port = match port_name.as_str() {
        "" => format!("port {protocol} {family}"),
        name => format!("port {name}/{protocol} {family}"),
    };
    Problem::new(format_args!("Service {}", key(owner)), port, message)
}

/// An error with its causes.
pub(super) fn report(error: &WriteError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
