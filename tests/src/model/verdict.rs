//! What must become of a packet.

use std::net::IpAddr;

use super::Tuple;

/// What must become of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is no Service's business: on as it is, uncounted.
    Untouched,
    /// On as it is, counted.
    Passed(Passed),
    /// A client's packet is given its endpoint.
    Request(Tuple),
    /// An endpoint's answer is given the address that was asked.
    Reply(Tuple),
    /// A client's packet is given an address of this node.
    Masqueraded(Tuple),
    /// An endpoint's answer to an address of this node is given its client.
    Returned(Tuple),
    /// An error is given this source, and is about this packet: it goes to that one's source.
    Translated(IpAddr, Tuple),
    /// An error whose quoted packet is odd: on as it is, counted.
    PassedError(Passed),
    /// A later fragment is given the addresses of its datagram's first one.
    Followed(IpAddr, IpAddr),
    /// A later fragment waits for its datagram's first one.
    Held,
    /// Dropped: the client hears nothing and tries again.
    Dropped(Dropped),
    /// Refused: the client knows at once.
    Rejected(Rejected),
}

impl Verdict {
    /// The packet's ends afterwards, where they are written.
    pub fn rewritten(&self) -> Option<Tuple> {
        match self {
            Self::Request(to) | Self::Reply(to) | Self::Masqueraded(to) | Self::Returned(to) => {
                Some(*to)
            }
            _ => None,
        }
    }
}

/// Why a packet is passed as it is although a Service may be meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// The headers do not fit into the packet.
    Truncated,
    /// A header contradicts itself or the packet's length.
    Malformed,
    /// More IPv6 extension headers than are walked, or one that must not be passed.
    Extensions,
    /// A quoted fragment without ports.
    Fragment,
}

/// Why a packet is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// A traffic policy is `Local`, and no endpoint on this node serves.
    NoLocalEndpoint,
    /// The client is outside the load balancer's source ranges.
    SourceRange,
    /// No source port is left towards the endpoint.
    NoMasqueradePort,
    /// The node has no address to masquerade with.
    NoMasqueradeAddress,
    /// A first fragment ends within its transport header.
    Tiny,
    /// A first fragment of SCTP, whose checksum spans all of them.
    SctpFragment,
    /// A later fragment of a datagram whose first one was dropped.
    WithFirst,
    /// A flow cannot be opened: its packets would look like another's.
    Busy,
}

/// Why a client is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// The Service has no endpoint.
    NoEndpoint,
    /// TCP in mid-stream, and no flow is known.
    NoFlow,
    /// The same of SCTP.
    NoAssociation,
}

/// What a packet did to flows beside its own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// One was opened.
    Opened,
    /// One that was over made room.
    Reused,
    /// One without an answer was pushed out for want of masquerade ports.
    PushedOut,
    /// The same of one whose client has not gone on after an answer.
    AnsweredPushedOut,
    /// One was forgotten because its endpoint no longer serves.
    Forgotten,
    /// A connection without a Service was given another port.
    DirectMoved,
    /// A Service's flow was given another port towards its endpoint.
    PortMoved,
    /// A fragment that was held had to make room.
    GivenUp,
    /// A fragment that was held was dropped with its datagram's first one.
    WaitedInVain,
}
