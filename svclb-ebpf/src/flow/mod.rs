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
    flow::{Facts, Flow, Role},
    outcome::Outcome,
    tuple::Tuple,
};

pub use claim::claim;
pub use masquerade::masquerade;
pub use open::open;

use crate::{
    desk,
    maps::Tables,
    raw::{Locked, Record},
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

/// Asks a record what role a packet has.
#[inline(always)]
fn known<A: Tables>(
    record: Record<A>,
    role: impl Fn(&Flow<A>) -> Option<Role>,
) -> Result<Option<Known<A>>, Outcome> {
    let (role, view) = desk::view(|view| {
        record.ask(|flow| {
            let role = role(flow)?;
            flow.rewrite(role, &mut view.to);
            view.facts = flow.facts;
            Some(role)
        })
    })?;
    Ok(role.map(|role| Known { record, role, view }))
}

/// The flow of a packet as received at an ingress hook.
#[inline(never)]
pub fn received<A: Tables>(tuple: &Tuple<A>) -> Result<Option<Known<A>>, Outcome> {
    let Some(record) = find(tuple) else { return Ok(None) };
    known(record, |flow| flow.role_received(tuple))
}

/// What a packet between the hooks is to the flow that holds its tuple, and where that flow's
/// client comes in.
#[inline(always)]
pub fn holder<A: Tables>(tuple: &Tuple<A>) -> Result<Option<(Role, u32)>, Outcome> {
    let Some(record) = desk::between(tuple).and_then(find) else { return Ok(None) };
    record.ask(|flow| Some((flow.role_between(tuple)?, flow.facts.ifindex)))
}

/// The flow of a packet between the hooks.
#[inline(never)]
pub fn between<A: Tables>(tuple: &Tuple<A>) -> Result<Option<Known<A>>, Outcome> {
    let record = desk::between(tuple).and_then(find);
    let Some(record) = record else { return Ok(None) };
    known(record, |flow| flow.role_between(tuple))
}

/// Ends the flow of the client's packet `received`. If the record holds another flow by now, there
/// is nothing to end.
#[inline(always)]
pub fn release<A: Tables>(record: Record<A>, received: &Tuple<A>) -> Result<(), Outcome> {
    let mut locked = record.try_lock().ok_or(Outcome::FlowBusy)?;
    if locked.flow().received() == *received {
        clear(&mut locked);
    }
    locked.unlock();
    Ok(())
}

/// Takes an owned record's tuples out of the index and marks it free.
#[inline(never)]
fn clear<A: Tables>(locked: &mut Locked<A>) {
    let flow = locked.flow();
    if flow.facts.protocol == 0 {
        return;
    }
    remove(flow.received());
    if let Some(key) = desk::between(&flow.between()) {
        A::remove_tuple(key);
    }
    if flow.facts.masq_port != 0 {
        remove(flow.returned());
    }
    flow.facts.protocol = 0;
}

#[inline(always)]
fn remove<A: Tables>(tuple: Tuple<A>) {
    if let Some(key) = desk::key(tuple) {
        A::remove_tuple(key);
    }
}

#[inline(always)]
fn find<A: Tables>(key: &Tuple<A>) -> Option<Record<A>> {
    A::record(A::tuple(key)?)
}
