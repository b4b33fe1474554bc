//! Which ports a flow may be given.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Model, Note,
    address::{Protocol, Tuple},
    choice::Ports,
    flow::Flow,
};

/// The first port that a client is given in place of its own.
const FIRST: u16 = 1024;

impl Model {
    /// Whether no flow and no direct connection has these packets between the hooks.
    pub(super) fn is_free(&self, tuple: &Tuple, despite_direct: bool) -> bool {
        tuple.src != tuple.dst
            && self.flows.between(tuple).is_none()
            && (despite_direct || !self.direct.contains(&tuple.pair()))
    }

    /// The ports that `client` may be given towards `endpoint`.
    pub(super) fn client_ports(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        endpoint: SocketAddr,
    ) -> Ports {
        let other_end = |pair: &Tuple| {
            let ends = [(pair.src, pair.dst), (pair.dst, pair.src)];
            let of = move |(near, far): &(SocketAddr, SocketAddr)| {
                near.ip() == client.ip() && *far == endpoint
            };
            ends.into_iter().filter(of).map(|(near, _)| near.port()).collect::<Vec<_>>()
        };
        let pairs = self.flows.pairs().chain(&self.direct);
        let taken = pairs.filter(|pair| pair.protocol == protocol).flat_map(other_end);
        let same = (client.ip() == endpoint.ip()).then_some(endpoint.port());
        let except = taken.chain(same).collect();
        Ports { range: FIRST..=u16::MAX, except, may_fail: false }
    }

    /// The ports of `address` that a flow may be masqueraded with towards `endpoint`.
    ///
    /// Those that another flow's answers come to may not be taken, except from one that is not
    /// confirmed where there is no other. Those of the node's own connections are avoided while there
    /// are others, but what is known of these may be stale: once half of the range is spoken for,
    /// they may be taken.
    pub(super) fn masquerade_ports(
        &self,
        protocol: Protocol,
        endpoint: SocketAddr,
        address: std::net::IpAddr,
    ) -> Ports {
        let (first, last) = self.tables.masquerade_ports;
        let answer = |port: u16| Tuple::new(protocol, endpoint, SocketAddr::new(address, port));
        let holder = |port: u16| {
            let flow = self.flows.received(&answer(port)).map(|(id, _)| self.flows.get(id))?;
            Some((flow, flow.returned() == Some(answer(port))))
        };
        let held = |port: &u16| holder(*port).is_some_and(|(flow, own)| !own || !flow.is_closed());
        let kept = |port: &u16| {
            let makes_room = |flow: &Flow| flow.is_closed() || flow.is_unconfirmed();
            holder(*port).is_some_and(|(flow, own)| !own || !makes_room(flow))
        };
        let direct = |port: &u16| self.direct.contains(&answer(*port).pair());
        let all = || first..=last;
        let spoken_for: BTreeSet<u16> = all().filter(|port| held(port) || direct(port)).collect();
        let count = all().len();
        let except = if spoken_for.len() == count {
            all().filter(kept).collect()
        } else if spoken_for.len() < count / 2 {
            spoken_for
        } else {
            all().filter(held).collect()
        };
        Ports { range: all(), may_fail: except.len() == count, except }
    }

    /// Ends the flow that holds the answer and makes room.
    pub(super) fn make_room(&mut self, answer: &Tuple) {
        if !self.is_awaited(answer) {
            return;
        }
        let Some((id, _)) = self.flows.received(answer) else { return };
        let note = match self.flows.get(id).is_answered() {
            true => Note::AnsweredPushedOut,
            false => Note::PushedOut,
        };
        self.end(id, note);
    }

    /// Ends the flow that still holds the answer although it is over; whether one still waits.
    pub(super) fn is_awaited(&mut self, answer: &Tuple) -> bool {
        let Some((id, _)) = self.flows.received(answer) else { return false };
        let flow = self.flows.get(id);
        if flow.returned() != Some(*answer) {
            return false;
        }
        let closed = flow.is_closed();
        if closed {
            self.end(id, Note::Reused);
        }
        !closed
    }
}
