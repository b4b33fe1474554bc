//! The only raw pointers: the packet, the socket, the flow records, the kernel's helpers.

mod frame;
mod kernel;
mod owned;
mod record;
mod remake;
mod skb;
mod socket;

pub use kernel::{
    add, cpu, fetch_add, has_connection, has_socket, hidden, in_place, neighbour, now_ns, random,
    repeat,
};
pub use owned::{Owned, Shared};
pub use record::{Locked, Record};
pub use remake::{Back, checksum};
pub use skb::{Header, Note, Skb};
pub use socket::Socket;
