//! The lab, the traffic and the packet builder of svclb's tests.

pub mod conformance;
pub mod control_plane;
pub mod differential;
pub mod exposition;
pub mod lab;
pub mod machine;
pub mod memory;
pub mod model;
pub mod packet;
pub mod programs;
pub mod remembered;
pub mod soak;
pub mod suite;
pub mod traffic;
