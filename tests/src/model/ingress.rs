//! A packet as received.

use super::{
    Chooser, Dropped, Frontend, Model, Note, Rejected, Service, Tuple, Verdict,
    address::Protocol,
    balance::new,
    flow::{Flow, Purpose, Role},
    headers::Packet,
};

impl Model {
    pub(super) fn ingress(
        &mut self,
        device: u32,
        packet: &Packet,
        chooser: &mut dyn Chooser,
    ) -> Verdict {
        let known = self.continued(packet);
        if let Some((id, role)) = known
            && self.is_not_ours(id, role, device)
        {
            return Verdict::Untouched;
        }
        let known = match known {
            Some(known) => Ok(known),
            None => self.begin(device, packet, chooser).map(|id| (id, Role::Request)),
        };
        match known {
            Ok((id, role)) => self.forward(id, role, device, packet),
            Err(verdict) => verdict,
        }
    }

    /// Whether a packet only looks like one of the flow: another device has seen it already, or it
    /// is not the node that sends in the node's name.
    pub(super) fn is_not_ours(&self, id: u32, role: Role, device: u32) -> bool {
        let flow = self.flows.get(id);
        flow.is_elsewhere(device) || flow.purpose == Purpose::Own && role == Role::Request
    }

    /// The flow that the packet continues.
    fn continued(&mut self, packet: &Packet) -> Option<(u32, Role)> {
        let (id, role) = self.flows.received(&packet.tuple)?;
        if role != Role::Request {
            return Some((id, role));
        }
        let flow = self.flows.get(id);
        if flow.purpose == Purpose::Own {
            return Some((id, role));
        }
        if flow.is_closed() && packet.opens() {
            self.end(id, Note::Reused);
            return None;
        }
        if flow.is_uncommitted() && !self.still_serves(flow) {
            self.end(id, Note::Forgotten);
            return None;
        }
        Some((id, role))
    }

    /// The flow that the packet opens.
    fn begin(
        &mut self,
        device: u32,
        packet: &Packet,
        chooser: &mut dyn Chooser,
    ) -> Result<u32, Verdict> {
        let flow = self.decide(device, packet, chooser)?;
        let id = self.open_apart(flow, chooser).ok_or(Verdict::Dropped(Dropped::Busy))?;
        let flow = self.flows.get(id);
        if flow.between != flow.client {
            let direct = flow.purpose == Purpose::Direct;
            self.notes.push(if direct { Note::DirectMoved } else { Note::PortMoved });
        }
        Ok(id)
    }

    /// Where a packet of no flow goes.
    fn decide(
        &mut self,
        device: u32,
        packet: &Packet,
        chooser: &mut dyn Chooser,
    ) -> Result<Flow, Verdict> {
        let tuple = &packet.tuple;
        let frontend = self.frontend(packet);
        if !packet.opens() {
            return Err(self.midstream(tuple, frontend));
        }
        let to_endpoint = self.tables.answers(tuple.dst.ip());
        let holder = if to_endpoint { self.flows.between(tuple) } else { None };
        if let Some((id, role)) = holder
            && (role != Role::RequestOut || self.flows.get(id).device != device)
        {
            // Another device has seen the packet, or it is an answer: it is not decided twice.
            return Err(Verdict::Untouched);
        }
        if let Some(frontend) = frontend {
            return self.balance(tuple, frontend, device, chooser);
        }
        if holder.is_some() {
            return Ok(new(tuple, Purpose::Direct, device));
        }
        if to_endpoint {
            self.direct.insert(tuple.pair());
        }
        Err(Verdict::Untouched)
    }

    /// What becomes of TCP or SCTP in mid-stream that has no flow.
    fn midstream(&self, tuple: &Tuple, frontend: Option<Frontend>) -> Verdict {
        let Some(frontend) = frontend else { return Verdict::Untouched };
        let service = self.tables.services.get(&frontend.service);
        let admitted = |service: &Service| service.admits(frontend.kind, tuple.src.ip());
        if !service.is_none_or(admitted) {
            return Verdict::Dropped(Dropped::SourceRange);
        }
        Verdict::Rejected(match tuple.protocol {
            Protocol::Sctp => Rejected::NoAssociation,
            _ => Rejected::NoFlow,
        })
    }

    /// Opens a flow whose packets between the hooks are its own: with the client's port where that
    /// is free, else with another.
    pub(super) fn open_apart(&mut self, flow: Flow, chooser: &mut dyn Chooser) -> Option<u32> {
        let own = flow.purpose == Purpose::Own;
        let keeps = flow.purpose != Purpose::Direct && self.is_free(&flow.forwarded(), own);
        if keeps {
            return self.open(flow);
        }
        let ports = self.client_ports(flow.protocol, flow.client, flow.endpoint);
        let mut flow = flow;
        flow.between.set_port(chooser.port(&ports)?);
        self.open(flow)
    }

    fn forward(&mut self, id: u32, role: Role, device: u32, packet: &Packet) -> Verdict {
        let flow = self.flows.get_mut(id);
        if role == Role::Return {
            if flow.purpose == Purpose::Own {
                flow.note_reply(packet);
            }
            return Verdict::Returned(flow.forwarded().reversed());
        }
        flow.note_request(packet);
        flow.device = device;
        Verdict::Request(flow.forwarded())
    }
}
