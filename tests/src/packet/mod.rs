//! Frames as tests want them: built right by default, broken on purpose, and explained.
//!
//! ```
//! use svclb_tests::packet::{Field, Link, Packet, explain, flags};
//!
//! let (client, vip) = ("192.0.2.1:40000".parse().unwrap(), "10.96.0.1:80".parse().unwrap());
//! let frame = Packet::tcp(client, vip).flags(flags::SYN).payload(b"hello").ethernet().build();
//! assert_eq!(explain(&frame, Link::Ethernet).unwrap().dst, vip);
//!
//! let wrong = Packet::udp(client, vip).set(Field::UdpLength, 9_000).build();
//! assert!(explain(&wrong, Link::None).is_err());
//! ```

mod build;
mod builder;
mod explain;
mod field;
mod network;
pub mod sctp;
mod transport;

pub use builder::{Packet, STATION, THIS_NODE};
pub use explain::{Fault, Link, Seen, Segment, explain};
pub use field::Field;
pub use network::Extension;

/// TCP flag bits as in the header's thirteenth byte.
pub mod flags {
    pub use svclb_common::flow::tcp::{ACK, FIN, RST, SYN};
    /// Push.
    pub const PSH: u8 = 0x08;
    /// Urgent.
    pub const URG: u8 = 0x20;
}
