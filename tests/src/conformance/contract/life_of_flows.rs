//! The rows about what becomes of connections, packets and nodes once it is decided who answers.

use super::{Row, row};

pub(super) const FLOWS: &[Row] = &[
    row("8.1", "A change does not cut a running flow whose endpoint still exists", &[]),
    row("8.2", "TCP in mid-stream without a flow is reset, or left alone when taking over", &[]),
    row("8.3", "A UDP flow is forgotten at once when its endpoint no longer serves", &[]),
    row("8.4", "A TCP flow whose endpoint is gone is reset", &[]),
    row("8.5", "No new flow goes to an endpoint that ends and does not serve", &[]),
    row("8.6", "Flows age out by protocol and state, and a full table cuts no active one", &[]),
];

pub(super) const PACKETS: &[Row] = &[
    row("9.1", "ICMP errors are translated both ways, and path-MTU discovery works", &[]),
    row("9.2", "Fragments in any order", &[]),
    row("9.3", "IPv4 and IPv6 are independent; extension headers are walked within a bound", &[]),
    row("9.4", "IPv4 options work; what is malformed or truncated is never rewritten", &[]),
    row("9.5", "TCP, UDP and SCTP", &[]),
    row("9.6", "A UDP checksum of zero stays zero over IPv4", &[]),
    row("9.7", "Nothing answers ARP or NDP for a service's address", &[]),
];

pub(super) const HEALTH: &[Row] = &[
    row("10.1", "A health check's node port says how many endpoints the node has", &[]),
    row("10.2", "Health of the agent, with and without the node's eligibility", &[]),
    row("10.3", "The mode, and kube-proxy's metrics", &[]),
];
