//! Keeps the kernel programs attached to every device of the node, and tells them what they need
//! to know about devices.
//!
//! ```text
//! rtnetlink -> monitor -> Network (pure: links, addresses, default routes)
//!                            |  commands, in order
//!                            v
//!                         worker (a thread of its own): `devices` map, TCX or clsact hooks
//! ```
//!
//! The hooks at sockets are another matter: they are attached once, to a control group.
//!
//! Attaching waits for an RCU grace period in the kernel, so it never happens on the thread that
//! reads netlink or writes services.

mod cgroup;
mod cgroup_root;
mod clsact;
mod hooks;
mod monitor;
mod netlink;
mod network;
mod own;
mod tcx;
mod worker;

pub use cgroup::{Options as SocketOptions, SocketHooks, serve_sockets};
pub use cgroup_root::{NoCgroup, cgroup_root, is_machines};
pub use hooks::{Mechanism, detach_all};
pub use monitor::Monitor;
pub use netlink::is_supported;
pub use own::own_addresses;
pub use worker::Worker;
