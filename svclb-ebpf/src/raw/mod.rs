//! The only raw pointers: the packet, the flow records, the kernel's helpers.

mod kernel;
mod record;
mod skb;

pub use kernel::{cpu, has_socket, neighbour, now_ns, repeat};
pub use record::{Locked, Record};
pub use skb::{Note, Skb};
