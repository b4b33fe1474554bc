//! The kernel's maps in memory, for tests: the same contents, and failures on demand.

use super::{MapReader, MapWriter, WriteError};
use crate::plan::{Operation, kernel::KernelState};

/// A writer that keeps what the kernel would hold.
#[derive(Debug, Default)]
pub struct MemoryWriter {
    state: KernelState,
    log: Vec<Operation>,
    fail_at: Option<u64>,
    failures: u64,
}

impl MemoryWriter {
    /// Maps that already hold `state`.
    pub fn with_state(state: KernelState) -> Self {
        Self { state, ..Self::default() }
    }

    /// Makes the operation after `skip` further ones fail, once.
    pub fn fail_after(&mut self, skip: u64) {
        self.fail_at = Some(skip);
    }

    /// Whether the operation at hand is the one to fail.
    fn fails(&mut self) -> bool {
        match self.fail_at {
            Some(0) => {
                self.fail_at = None;
                true
            }
            Some(left) => {
                self.fail_at = Some(left - 1);
                false
            }
            None => false,
        }
    }

    /// How many operations have failed.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// What the maps hold.
    pub fn state(&self) -> &KernelState {
        &self.state
    }

    /// The operations since the last call that succeeded, in order.
    pub fn take_log(&mut self) -> Vec<Operation> {
        std::mem::take(&mut self.log)
    }
}

impl MapWriter for MemoryWriter {
    fn apply(&mut self, operation: &Operation) -> Result<bool, WriteError> {
        if self.fails() {
            self.failures += 1;
            if let Operation::SetSlots(first, slots) = operation {
                let written = slots[..slots.len() / 2].to_vec();
                self.state.apply(&Operation::SetSlots(*first, written));
            }
            return Err(WriteError::new("memory", "told to fail"));
        }
        self.state.apply(operation);
        self.log.push(operation.clone());
        Ok(true)
    }
}

impl MapReader for MemoryWriter {
    fn read(&self) -> Result<KernelState, WriteError> {
        Ok(KernelState { watched: Default::default(), ..self.state.clone() })
    }
}
