//! The svclb agent as a library: source -> snapshot -> desired -> plan -> writer.

pub mod desired;
pub mod plan;
pub mod problem;
pub mod snapshot;
pub mod state;
pub mod writer;
