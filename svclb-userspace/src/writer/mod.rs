//! Where operations end: the kernel's maps, or their twin in memory.

mod convert;
mod family;
pub mod maps;
pub mod memory;
mod probe;

use std::error::Error;

use crate::plan::{Operation, kernel::KernelState};

/// A map could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("map {map}")]
pub struct WriteError {
    /// Name of the map.
    pub map: &'static str,
    /// What the kernel said.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl WriteError {
    /// An error of the map `map`.
    pub fn new(map: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { map, source: source.into() }
    }
}

/// Carries operations out.
///
/// Doing an operation twice is the same as doing it once, and one that returns an error has not
/// happened ([`Operation::SetSlots`] may have, in part); it will be asked for again if it is still
/// wanted. [`Operation::Watch`] and [`Operation::Unwatch`] are about one address and interest;
/// addresses that share a bit are the writer's to count.
pub trait MapWriter {
    /// Carries out one operation; whether a map was written for it. For an address whose bit is what
    /// it should be none is.
    ///
    /// # Errors
    /// Names the map and says why it was not written.
    fn apply(&mut self, operation: &Operation) -> Result<bool, WriteError>;
}

impl<W: MapWriter + ?Sized> MapWriter for &mut W {
    fn apply(&mut self, operation: &Operation) -> Result<bool, WriteError> {
        (**self).apply(operation)
    }
}

/// Reads back what an earlier agent has written.
pub trait MapReader {
    /// The contents of the maps that user space writes. Entries that are all zero are left out,
    /// those that make no sense (an unknown protocol number) as well.
    ///
    /// # Errors
    /// Names the map that could not be read.
    fn read(&self) -> Result<KernelState, WriteError>;
}
