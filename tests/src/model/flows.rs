//! The flows that there are, found by a packet's ends.

use std::collections::HashMap;

use super::{
    address::Tuple,
    flow::{Flow, Role},
};

/// All flows.
#[derive(Debug, Default)]
pub(super) struct Flows {
    last: u32,
    flows: HashMap<u32, Flow>,
    /// By packets as received.
    received: HashMap<Tuple, u32>,
    /// By packets between the hooks, of either direction.
    between: HashMap<Tuple, u32>,
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// The flow of that number.
    pub(super) fn get(&self, id: u32) -> &Flow {
        &self.flows[&id]
    }

    /// The same, to be changed in what no packet is found by.
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Flow {
        self.flows.get_mut(&id).expect("numbers come from look-ups of flows that are there")
    }

    /// The flow of a packet as received.
    pub(super) fn received(&self, tuple: &Tuple) -> Option<(u32, Role)> {
        let id = *self.received.get(tuple)?;
        let is_request = self.get(id).request() == *tuple;
        Some((id, if is_request { Role::Request } else { Role::Return }))
    }

    /// The flow of a packet between the hooks.
    pub(super) fn between(&self, tuple: &Tuple) -> Option<(u32, Role)> {
        let id = *self.between.get(&tuple.pair())?;
        let is_request = self.get(id).forwarded() == *tuple;
        Some((id, if is_request { Role::RequestOut } else { Role::Reply }))
    }

    /// The packets between the hooks that flows have, in no direction.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &Tuple> {
        self.between.keys()
    }

    /// Adds a flow, unless its packets are another's.
    pub(super) fn open(&mut self, flow: Flow) -> Option<u32> {
        let (request, pair) = (flow.request(), flow.forwarded().pair());
        if self.received.contains_key(&request) || self.between.contains_key(&pair) {
            return None;
        }
        self.last += 1;
        self.received.insert(request, self.last);
        self.between.insert(pair, self.last);
        self.flows.insert(self.last, flow);
        Some(self.last)
    }

    /// Lets a flow be found by the answers to its masquerade address, which it has by now.
    pub(super) fn expect_answers(&mut self, id: u32) {
        self.received.extend(self.flows[&id].returned().map(|returned| (returned, id)));
    }

    /// Takes a flow away.
    pub(super) fn end(&mut self, id: u32) {
        let Some(flow) = self.flows.remove(&id) else { return };
        self.received.remove(&flow.request());
        self.between.remove(&flow.forwarded().pair());
        if let Some(returned) = flow.returned() {
            self.received.remove(&returned);
        }
    }
}
