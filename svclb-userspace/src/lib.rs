//! The svclb agent as a library: source -> snapshot -> desired -> plan -> writer.

pub mod agent;
pub mod attach;
pub mod config;
pub mod desired;
pub mod events;
pub mod explain;
pub mod flow_table;
pub mod health;
mod http;
pub mod loader;
pub mod metrics;
pub mod netns;
pub mod pins;
pub mod plan;
pub mod problem;
pub mod severed;
pub mod snapshot;
pub mod sock_diag;
pub mod source;
pub mod state;
pub mod stranded;
pub mod sweep;
pub mod telemetry;
pub mod writer;
