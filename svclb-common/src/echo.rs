//! To whose ping the programs answer: values of the global `ECHO`.

/// To nobody's.
pub const OFF: u8 = 0;
/// That to ClusterIPs, which no machine has.
pub const CLUSTER_IPS: u8 = 1;
/// That to every address of a Service, but for those of this node.
pub const ALL: u8 = 2;
