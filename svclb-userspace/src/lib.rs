//! The svclb agent as a library: source -> snapshot -> desired -> plan -> writer.

pub mod plan;
