//! The lab and the packet builder of svclb's tests.

pub mod packet;
