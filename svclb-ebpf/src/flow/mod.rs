//! Flows: found, opened, given a masquerade address, released.
//!
//! Who may do what: a tuple in the index is added and removed only by the owner of the record it
//! points at ([`crate::raw::Locked`]). So the tuples of a flow appear before its record is
//! published and are gone before it is free; what a reader finds in between is no flow of its
//! packet, because the record says so.

mod claim;
mod masquerade;
mod open;
pub mod sweep;

use svclb_common::{
    flow::{Facts, Flow, Role, flags},
    outcome::Outcome,
    tuple::Tuple,
};

pub use masquerade::{is_awaited, masquerade};
pub use open::begin;

use crate::{
    desk,
    maps::Tables,
    raw::{Locked, Record, Skb},
};

/// A packet's flow, and what the packet is to it.
#[derive(Clone, Copy)]
pub struct Known<A: 'static> {
    /// The record in the map.
    pub record: Record<A>,
    /// What the packet is to the flow.
    pub role: Role,
    /// What a consistent look at the record gave.
    pub view: &'static View<A>,
}

/// An extract of a flow record, on the desk.
#[repr(C)]
pub struct View<A> {
    /// The tuple that the packet leaves the hook with.
    pub to: Tuple<A>,
    /// What else is known of the flow.
    pub facts: Facts,
}

impl<A: Tables> Known<A> {
    #[inline(always)]
    fn from(found: Found) -> Result<Option<Self>, Outcome> {
        if found.is_busy() {
            return Err(Outcome::FlowBusy);
        }
        let Some(role) = Role::from_number((found.0 >> 32) as u32) else { return Ok(None) };
        let record = A::record(found.0 as u32).ok_or(Outcome::FlowBusy)?;
        Ok(Some(Self { record, role, view: desk::view().ok_or(Outcome::FlowBusy)? }))
    }

    /// What a look-up found, unless that was nothing, or busy.
    #[inline(always)]
    pub fn at(found: Found) -> Option<Self> {
        let role = Role::from_number((found.0 >> 32) as u32)?;
        Some(Self { record: A::record(found.0 as u32)?, role, view: desk::view()? })
    }

    /// Whether the flow is a direct connection and this is not its client's device.
    ///
    /// Such a connection is moved aside and back at that device only: on the way there (at the
    /// bridge of the client's port, say) its own tuple is the one that it has stepped aside from,
    /// and means the service's flow.
    #[inline(always)]
    pub fn is_elsewhere(&self, skb: &Skb) -> bool {
        let facts = &self.view.facts;
        facts.flags & flags::DIRECT != 0 && facts.ifindex != skb.ifindex()
    }

    /// Refuses the packet if its flow is severed: its sender is told by that.
    #[inline(always)]
    pub fn require_endpoint(&self) -> Result<(), Outcome> {
        let facts = &self.view.facts;
        if !facts.is_severed() {
            return Ok(());
        }
        self.record.tell(facts, self.role);
        Err(Outcome::EndpointGone)
    }
}

/// What a look-up found, as one number: the role above, the record's number below. A pointer would
/// not travel well between functions of a kernel program.
#[derive(Clone, Copy)]
pub struct Found(u64);

impl Found {
    const NOTHING: Self = Self(0);
    const BUSY: Self = Self(u64::MAX);

    #[inline(always)]
    fn new(role: Role, number: u32) -> Self {
        Self((role as u64) << 32 | u64::from(number))
    }

    /// Whether another CPU held the record for too long.
    #[inline(always)]
    pub fn is_busy(self) -> bool {
        self.0 == Self::BUSY.0
    }
}

/// The flow of a packet as received at an ingress hook.
#[inline(always)]
pub fn received<A: Tables>(tuple: &Tuple<A>) -> Result<Option<Known<A>>, Outcome> {
    Known::from(look_received(tuple))
}

/// The flow of a packet between the hooks.
#[inline(always)]
pub fn between<A: Tables>(tuple: &Tuple<A>) -> Result<Option<Known<A>>, Outcome> {
    Known::from(look_between(tuple))
}

/// The same as one number.
#[inline(never)]
pub fn look_received<A: Tables>(tuple: &Tuple<A>) -> Found {
    look(find(tuple), |flow| flow.role_received(tuple))
}

/// The same as one number.
#[inline(never)]
pub fn look_between<A: Tables>(tuple: &Tuple<A>) -> Found {
    look(desk::between(tuple).and_then(find), |flow| flow.role_between(tuple))
}

/// Asks a record what role a packet has, and puts what the role needs on the desk.
#[inline(always)]
fn look<A: Tables>(record: Option<Record<A>>, role: impl Fn(&Flow<A>) -> Option<Role>) -> Found {
    let Some(record) = record else { return Found::NOTHING };
    let found = record.ask(|flow| {
        let Some(role) = role(flow) else { return Found::NOTHING };
        desk::fill_view(flow, role);
        Found::new(role, record.number())
    });
    found.unwrap_or(Found::BUSY)
}

/// What a packet between the hooks is to the flow that holds its tuple, and where that flow's
/// client comes in.
#[inline(always)]
pub fn holder<A: Tables>(tuple: &Tuple<A>) -> Result<Option<(Role, u32)>, Outcome> {
    let Some(record) = desk::between(tuple).and_then(find) else { return Ok(None) };
    record.ask(|flow| Some((flow.role_between(tuple)?, flow.facts.ifindex)))
}

/// Ends the flow of the client's packet `received`; whether this CPU did. If the record holds another
/// flow by now, there is nothing to end; if another CPU has the record, it is most likely ending the
/// flow for a packet of its own, and this one waits for that.
#[inline(always)]
pub fn release<A: Tables>(record: Record<A>, received: &Tuple<A>) -> bool {
    let Some(mut locked) = record.try_lock() else {
        record.wait();
        return false;
    };
    let is_it = locked.flow().received() == *received;
    if is_it {
        clear(&mut locked);
    }
    locked.unlock();
    is_it
}

/// Takes an owned record's tuples out of the index and marks it free.
#[inline(always)]
fn clear<A: Tables>(locked: &mut Locked<A>) {
    if let Some(key) = desk::key() {
        clear_with(locked, key);
    }
}

/// The same with a place for keys that is not the desk: the sweep runs in a process, whose desk a
/// packet may take over at any time.
#[inline(never)]
fn clear_with<A: Tables>(locked: &mut Locked<A>, key: &mut Tuple<A>) {
    let flow = locked.flow();
    if flow.facts.protocol == 0 {
        return;
    }
    *key = flow.received();
    A::remove_tuple(key);
    flow.between().write_between(key);
    A::remove_tuple(key);
    if flow.facts.masq_port != 0 {
        *key = flow.returned();
        A::remove_tuple(key);
    }
    flow.facts.protocol = 0;
}

#[inline(always)]
fn find<A: Tables>(key: &Tuple<A>) -> Option<Record<A>> {
    A::record(A::tuple(key)?)
}
