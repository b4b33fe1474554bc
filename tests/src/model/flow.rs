//! One flow.

use std::net::SocketAddr;

use super::{
    address::{Protocol, Tuple},
    endpoints::Set,
    headers::{Flags, Packet},
};

/// What a flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A client asks a service; the endpoint is of the set.
    Service(u32, Set),
    /// A client asks an endpoint itself, and a service's flow already looks like that.
    Direct,
    /// The node asks an endpoint itself, and a masqueraded flow already looks like that.
    Own,
}

/// What a packet is to a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The client's packet as received.
    Request,
    /// The client's packet on its way out.
    RequestOut,
    /// The endpoint's answer to a masquerade address, as received.
    Return,
    /// The endpoint's answer on its way out.
    Reply,
}

/// What was seen of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    any: bool,
    fin: bool,
    rst: bool,
}

impl Seen {
    /// A sender that goes on after a reset has not reset.
    fn note(&mut self, flags: Flags) {
        *self = Self { any: true, fin: self.fin || flags.fin(), rst: flags.rst() };
    }
}

/// A client, whom it asked, and who answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Flow {
    pub(super) purpose: Purpose,
    pub(super) protocol: Protocol,
    pub(super) client: SocketAddr,
    pub(super) asked: SocketAddr,
    pub(super) endpoint: SocketAddr,
    /// The client as the kernel sees it between the hooks.
    pub(super) between: SocketAddr,
    /// Whether the endpoint sees an address of this node.
    pub(super) masquerades: bool,
    /// That address, once it is chosen.
    pub(super) masquerade: Option<SocketAddr>,
    /// Where the client's packets come in.
    pub(super) device: u32,
    pub(super) from_client: Seen,
    pub(super) from_endpoint: Seen,
    /// Whether the client has gone on after an answer.
    pub(super) confirmed: bool,
}

impl Flow {
    /// The client's packet as received.
    pub(super) fn request(&self) -> Tuple {
        Tuple::new(self.protocol, self.client, self.asked)
    }

    /// The client's packet between the hooks.
    pub(super) fn forwarded(&self) -> Tuple {
        Tuple::new(self.protocol, self.between, self.endpoint)
    }

    /// The endpoint's answer to the masquerade address, as received.
    pub(super) fn returned(&self) -> Option<Tuple> {
        self.masquerade.map(|masquerade| Tuple::new(self.protocol, self.endpoint, masquerade))
    }

    /// The endpoint's answer as the client sees it.
    pub(super) fn reply(&self) -> Tuple {
        self.request().reversed()
    }

    /// Whether both sides have finished, or one has reset.
    pub(super) fn is_closed(&self) -> bool {
        let (client, endpoint) = (self.from_client, self.from_endpoint);
        self.protocol != Protocol::Udp && (client.rst || endpoint.rst || client.fin && endpoint.fin)
    }

    /// Whether nobody would miss the flow: a datagram belongs to no connection, nor does a SYN that
    /// nobody has answered.
    pub(super) fn is_uncommitted(&self) -> bool {
        let opening = !self.from_endpoint.any && !self.is_closed();
        self.protocol == Protocol::Udp || opening
    }

    /// Whether a direct connection is seen at another device than its client's, where its packets
    /// look like those of the flow that it stepped aside for.
    pub(super) fn is_elsewhere(&self, device: u32) -> bool {
        self.purpose == Purpose::Direct && self.device != device
    }

    /// Whether it may be pushed out for want of room: whoever asks in another's name never goes on
    /// after an answer.
    pub(super) fn is_unconfirmed(&self) -> bool {
        !self.confirmed && !self.is_closed()
    }

    /// Whether the endpoint has been heard.
    pub(super) fn is_answered(&self) -> bool {
        self.from_endpoint.any
    }

    pub(super) fn note_request(&mut self, packet: &Packet) {
        self.from_client.note(packet.flags);
        self.confirmed |= self.from_endpoint.any && packet.goes_on();
    }

    pub(super) fn note_reply(&mut self, packet: &Packet) {
        self.from_endpoint.note(packet.flags);
    }
}
