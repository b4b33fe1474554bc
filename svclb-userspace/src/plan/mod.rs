//! The difference between what the kernel holds and what it should hold, as ordered operations.

pub mod kernel;
pub mod operation;

pub use operation::Operation;
