//! Whose packet is it, and who answers: the contract's sections 4, 5 and 7.

use std::net::SocketAddr;

use super::{
    Chooser, Dropped, Frontend, Kind, Model, Rejected, Service, Set, Tuple, Verdict,
    flow::{Flow, Purpose, Seen},
    headers::Packet,
};

impl Model {
    /// The frontend that a packet asks. A packet to a NodePort's number that an endpoint sends may
    /// answer a connection of the node's own, which may have that port.
    pub(super) fn frontend(&self, packet: &Packet) -> Option<Frontend> {
        let tuple = &packet.tuple;
        if !self.tables.is_asked(tuple.dst.ip()) {
            return None;
        }
        let answers = self.tables.answers(tuple.src.ip())
            && (!packet.opens() || self.direct.contains(&tuple.pair()));
        let at_node = || self.tables.at_node(tuple).filter(|_| !answers);
        self.tables.at_address(tuple).or_else(at_node)
    }

    /// The flow of a client's first packet to a frontend, its port between the hooks its own.
    pub(super) fn balance(
        &mut self,
        tuple: &Tuple,
        frontend: Frontend,
        device: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<Flow, Verdict> {
        let service = self.tables.services.get(&frontend.service);
        let service = service.ok_or(Verdict::Rejected(Rejected::NoEndpoint))?;
        let client = tuple.src.ip();
        let set = admitted(service, frontend, tuple, self.tables.is_inside(client))?;
        let allowed = service.serving(set);
        if allowed.is_empty() {
            return Err(nobody(service, set));
        }
        let stays = self.stays.get(&(frontend.service, client)).copied();
        let stays = stays.filter(|endpoint| service.affinity && allowed.contains(endpoint));
        let endpoint = stays.unwrap_or_else(|| chooser.endpoint(&allowed));
        let here = service.endpoint(endpoint).is_some_and(|endpoint| endpoint.here);
        let masquerades = masquerades(service, frontend.kind, tuple, endpoint, here);
        if service.affinity {
            self.stays.insert((frontend.service, client), endpoint);
        }
        let purpose = Purpose::Service(frontend.service, set);
        Ok(Flow { endpoint, masquerades, ..new(tuple, purpose, device) })
    }

    /// Whether the endpoint of a flow still takes new ones.
    pub(super) fn still_serves(&self, flow: &Flow) -> bool {
        let Purpose::Service(service, set) = flow.purpose else { return true };
        let service = self.tables.services.get(&service);
        service.is_some_and(|service| service.serving(set).contains(&flow.endpoint))
    }

    /// Whether policies forbid what a process of the node sends to a frontend by itself, because its
    /// socket was not served.
    pub(super) fn forbidden(&self, tuple: &Tuple) -> Option<Verdict> {
        let frontend = self.tables.at_address(tuple)?;
        let Some(service) = self.tables.services.get(&frontend.service) else {
            return Some(Verdict::Rejected(Rejected::NoEndpoint));
        };
        let set = match admitted(service, frontend, tuple, true) {
            Ok(set) => set,
            Err(verdict) => return Some(verdict),
        };
        service.serving(set).is_empty().then(|| nobody(service, set))
    }
}

/// The set that serves the client, if source ranges admit it. A client inside, a pod of this node or
/// the node, is not held to the external policy.
fn admitted(
    service: &Service,
    frontend: Frontend,
    tuple: &Tuple,
    inside: bool,
) -> Result<Set, Verdict> {
    if !service.admits(frontend.kind, tuple.src.ip()) {
        return Err(Verdict::Dropped(Dropped::SourceRange));
    }
    let local = service.is_local(frontend.kind) && !(frontend.is_external() && inside);
    Ok(if local { Set::Local } else { Set::Cluster })
}

/// What a client hears when no endpoint of the set serves.
fn nobody(service: &Service, set: Set) -> Verdict {
    if set == Set::Local && !service.serving(Set::Cluster).is_empty() {
        return Verdict::Dropped(Dropped::NoLocalEndpoint);
    }
    Verdict::Rejected(Rejected::NoEndpoint)
}

/// Whether the endpoint must see an address of this node: it is the client itself, or it is on
/// another node and the client is not a pod whose answers come here.
fn masquerades(
    service: &Service,
    kind: Kind,
    tuple: &Tuple,
    endpoint: SocketAddr,
    here: bool,
) -> bool {
    let hairpin = endpoint.ip() == tuple.src.ip();
    let outside = kind != Kind::ClusterIp && !service.is_local(kind);
    hairpin || outside && !here
}

/// A flow to the packet's own destination.
pub(super) fn new(tuple: &Tuple, purpose: Purpose, device: u32) -> Flow {
    Flow {
        purpose,
        protocol: tuple.protocol,
        client: tuple.src,
        asked: tuple.dst,
        endpoint: tuple.dst,
        between: tuple.src,
        masquerades: purpose == Purpose::Own,
        masquerade: None,
        device,
        from_client: Seen::default(),
        from_endpoint: Seen::default(),
        confirmed: false,
    }
}
