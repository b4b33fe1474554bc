//! A packet about to be sent.

use std::net::SocketAddr;

use super::{
    Chooser, Dropped, Model, Note, Tuple, Verdict,
    balance::new,
    flow::{Purpose, Role},
    headers::Packet,
};

impl Model {
    pub(super) fn egress(
        &mut self,
        device: u32,
        packet: &Packet,
        chooser: &mut dyn Chooser,
    ) -> Verdict {
        let known = match self.leaving(packet) {
            Some(known) => Ok(known),
            None => self.own(device, packet, chooser).map(|id| (id, Role::RequestOut)),
        };
        match known {
            Ok((id, Role::RequestOut)) => self.send(id, packet, chooser),
            Ok((id, _)) if self.flows.get(id).is_elsewhere(device) => Verdict::Untouched,
            Ok((id, _)) => {
                let flow = self.flows.get_mut(id);
                flow.note_reply(packet);
                Verdict::Reply(flow.reply())
            }
            Err(verdict) => verdict,
        }
    }

    /// The flow that the packet continues. One of the node's own that is over makes room.
    fn leaving(&mut self, packet: &Packet) -> Option<(u32, Role)> {
        let (id, role) = self.flows.between(&packet.tuple)?;
        let flow = self.flows.get(id);
        let over = flow.purpose == Purpose::Own && flow.is_closed();
        if over && packet.opens() && role == Role::RequestOut {
            self.end(id, Note::Reused);
            return None;
        }
        Some((id, role))
    }

    /// The flow of a connection in the node's own name whose answers would be another flow's.
    fn own(
        &mut self,
        device: u32,
        packet: &Packet,
        chooser: &mut dyn Chooser,
    ) -> Result<u32, Verdict> {
        let tuple = &packet.tuple;
        if !packet.opens() {
            return Err(Verdict::Untouched);
        }
        if let Some(verdict) = self.forbidden(tuple) {
            return Err(verdict);
        }
        if !self.tables.is_asked(tuple.src.ip()) || !self.tables.answers(tuple.dst.ip()) {
            return Err(Verdict::Untouched);
        }
        let awaited = self.is_awaited(&tuple.reversed());
        if !awaited || self.is_last_sent(tuple) && chooser.is_last_sent() {
            self.direct.insert(tuple.pair());
            return Err(Verdict::Untouched);
        }
        let flow = new(tuple, Purpose::Own, device);
        let id = self.open_apart(flow, chooser).ok_or(Verdict::Dropped(Dropped::Busy))?;
        self.notes.push(Note::DirectMoved);
        Ok(id)
    }

    fn is_last_sent(&self, tuple: &Tuple) -> bool {
        self.sent.get(&tuple.src.is_ipv4()) == Some(tuple)
    }

    /// A client's packet on its way to the endpoint.
    fn send(&mut self, id: u32, packet: &Packet, chooser: &mut dyn Chooser) -> Verdict {
        let flow = self.flows.get_mut(id);
        if !flow.masquerades {
            return Verdict::Untouched;
        }
        if flow.purpose == Purpose::Own {
            flow.note_request(packet);
        }
        let masquerade = match flow.masquerade {
            Some(masquerade) => masquerade,
            None => match self.masquerade(id, chooser) {
                Ok(masquerade) => masquerade,
                Err(why) => return Verdict::Dropped(why),
            },
        };
        let sent = Tuple { src: masquerade, ..self.flows.get(id).forwarded() };
        self.sent.insert(sent.src.is_ipv4(), sent);
        Verdict::Masqueraded(sent)
    }

    /// Chooses the flow's masquerade address. A flow that gets no port is over: the client's next
    /// attempt starts afresh.
    fn masquerade(&mut self, id: u32, chooser: &mut dyn Chooser) -> Result<SocketAddr, Dropped> {
        let flow = *self.flows.get(id);
        let address = self.tables.masquerade.get(&flow.client.is_ipv4()).copied();
        let address = address.ok_or(Dropped::NoMasqueradeAddress)?;
        let ports = self.masquerade_ports(flow.protocol, flow.endpoint, address);
        let Some(port) = chooser.port(&ports) else {
            self.flows.end(id);
            return Err(Dropped::NoMasqueradePort);
        };
        let masquerade = SocketAddr::new(address, port);
        self.make_room(&Tuple::new(flow.protocol, flow.endpoint, masquerade));
        self.flows.get_mut(id).masquerade = Some(masquerade);
        self.flows.expect_answers(id);
        Ok(masquerade)
    }
}
