//! What can become of a packet, or of what a process asks of its socket: at once the counter's index, the drop reason and the printed name.

/// What an [`Outcome`] means for the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Rewritten.
    Rewritten,
    /// Meant for a service, left as it was.
    Passed,
    /// Dropped.
    Dropped,
    /// Refused: the client knows at once.
    Refused,
    /// Answered by svclb itself.
    Answered,
    /// Says something about flows; the packet's own outcome is counted beside it.
    Note,
}

impl Kind {
    /// The name that commands and metrics print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rewritten => "rewritten",
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Answered => "answered",
            Self::Note => "note",
        }
    }
}

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $kind:ident;)+) => {
        /// What became of a packet or of a socket's request. Index of `outcomes`.
        #[repr(u32)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Outcome { $($(#[doc = $doc])+ $variant,)+ }

        impl Outcome {
            /// All outcomes, in the order of their indices.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that commands, metrics and events print.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it means for the packet.
            #[inline(always)]
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }

            /// One sentence for the reader of a table.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

outcomes! {
    /// A client's packet was given its backend.
    Request = "request", Rewritten;
    /// A backend's answer was given its frontend.
    Reply = "reply", Rewritten;
    /// A client's packet was given an address of this node.
    Masqueraded = "masqueraded", Rewritten;
    /// A backend's answer to an address of this node was given its client.
    Returned = "returned", Rewritten;

    /// The headers do not fit into the packet.
    Truncated = "truncated", Passed;
    /// A header contradicts itself or the packet's length.
    Malformed = "malformed", Passed;
    /// A later fragment was given the addresses that its datagram's first one was given.
    Fragment = "fragment", Rewritten;
    /// More IPv6 extension headers than svclb walks, or one that it must not pass.
    Extensions = "ipv6_extensions", Passed;

    /// The service has no endpoint.
    NoEndpoint = "no_endpoint", Refused;
    /// TCP in mid-stream to a frontend, without a flow.
    NoFlow = "tcp_no_flow", Refused;
    /// No flow record could be freed: every one looked at is of an established flow.
    FlowTableFull = "flow_table_full", Dropped;
    /// The index of flows took no more tuples.
    TupleTableFull = "tuple_table_full", Dropped;
    /// No source port left towards the backend between the hooks.
    NoBetweenPort = "no_between_port", Dropped;
    /// No masquerade port left towards the backend.
    NoMasqPort = "masq_ports_full", Dropped;
    /// Neither the device nor the node has an address to masquerade with.
    NoMasqAddress = "no_masq_address", Dropped;
    /// Another CPU held the flow's record for too long.
    FlowBusy = "flow_busy", Dropped;
    /// The kernel refused to change the packet.
    RewriteFailed = "rewrite_failed", Dropped;

    /// A flow was opened.
    Opened = "flow_opened", Note;
    /// A flow expired and was released.
    Expired = "flow_expired", Note;
    /// A closed flow made room for a new one.
    Reused = "closed_flow_reused", Note;
    /// A flow without an answer made room for a new one.
    Evicted = "opening_flow_evicted", Note;
    /// A flow was forgotten because its endpoint no longer serves or its frontend is gone:
    /// UDP, or TCP without an answer.
    Forgotten = "flow_forgotten", Note;
    /// A direct connection was moved to another source port: a service's flow holds its tuple, or
    /// waits for the answers to it.
    DirectMoved = "direct_moved", Note;
    /// A service's flow was given another source port towards its backend.
    PortMoved = "between_port_moved", Note;

    /// A socket was connected to a backend in place of the frontend.
    SocketConnected = "socket_connected", Rewritten;
    /// A datagram of an unconnected socket was sent to a backend in place of the frontend.
    SocketSent = "socket_sent", Rewritten;
    /// A process was told the frontend in place of the backend that a datagram came from.
    SocketReceived = "socket_received", Rewritten;
    /// A process that asked for its socket's peer was told the frontend in place of the backend.
    SocketPeerNamed = "socket_peer_named", Rewritten;
    /// A socket asked a service that has no endpoint.
    SocketRefused = "socket_refused", Refused;
    /// No room to remember a socket's frontend: its owner sees the backend.
    SocketUnrecorded = "socket_unrecorded", Note;

    /// The service has no endpoint on this node, and its traffic policy admits no other.
    NoLocalEndpoint = "no_local_endpoint", Dropped;
    /// The client is outside the source ranges of a load balancer's address.
    SourceRange = "source_range", Dropped;
    /// The ClusterIP's Service does not have this port.
    UnusedPort = "unused_port", Refused;
    /// The service's endpoints were being changed at this moment.
    Switching = "endpoints_switching", Dropped;
    /// An address that no Service has, in a range that ClusterIPs are given out from.
    Unallocated = "unallocated", Dropped;
    /// A ping to a service's address.
    EchoAnswered = "echo_answered", Answered;
    /// A refusal that must not be answered: a reset, or a packet that was sent to many or by nobody.
    Unanswerable = "unanswerable", Dropped;
    /// More refusals by ICMP than a CPU sends in a second.
    AnswerLimited = "answer_limited", Dropped;
    /// The kernel refused to make an answer of a packet.
    AnswerFailed = "answer_failed", Dropped;
    /// A flow whose client had not gone on after the answer made room for a new one: TCP half open,
    /// or UDP's single question.
    AnsweredEvicted = "answered_flow_evicted", Note;
    /// TCP or SCTP in mid-stream to a frontend, without a flow, while taking over from another
    /// service proxy: it may have the connection.
    LeftToKernel = "left_to_kernel", Passed;
    /// A connection's endpoint has vanished: its sender is reset.
    EndpointGone = "endpoint_gone", Refused;
    /// A connection was severed, because its endpoint has vanished.
    Severed = "flow_severed", Note;
    /// An ICMP error was given the ends of its flow, and so was the packet that it quotes.
    ErrorTranslated = "error_translated", Rewritten;
    /// An ICMP error that quotes less than the ports.
    QuoteTruncated = "quote_truncated", Passed;
    /// An ICMP error whose quoted packet contradicts itself, or was not sent by who gets the error.
    QuoteMalformed = "quote_malformed", Passed;
    /// An ICMP error about a fragment without ports.
    QuoteFragment = "quote_fragment", Passed;
    /// An ICMP error about a packet with more IPv6 extension headers than svclb walks, or one that
    /// it must not pass.
    QuoteExtensions = "quote_extensions", Passed;
    /// SCTP to a frontend that opens no association, without a flow.
    SctpNoFlow = "sctp_no_flow", Refused;
    /// A fragment came before its datagram's first one, and is held until that comes.
    FragmentHeld = "fragment_held", Note;
    /// A held fragment whose first one did not come in time, or that had to make room.
    FragmentGivenUp = "fragment_given_up", Dropped;
    /// A fragment came before its datagram's first one, and could not be held.
    FragmentUnheld = "fragment_unheld", Passed;
    /// A later fragment of a datagram whose first one was dropped, or refused.
    FragmentDropped = "fragment_dropped", Dropped;
    /// A first fragment that ends within its transport header (RFC 1858, RFC 7112).
    FragmentTiny = "fragment_tiny", Dropped;
    /// A first fragment of SCTP: its checksum spans what is not there.
    SctpFragment = "sctp_fragment", Dropped;
}

const _: () = assert!(Outcome::ALL.len() <= crate::layout::size::OUTCOMES as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_names_are_unique() {
        for (i, a) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*a as usize, i);
            assert!(!a.description().is_empty());
            for b in &Outcome::ALL[i + 1..] {
                assert_ne!(a.name(), b.name());
            }
        }
    }
}
