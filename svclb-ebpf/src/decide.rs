//! Whose packet is it? From a frontend to a backend, or a direct connection that must step aside.

use svclb_common::{
    flow::{Role, flags, is_opening_segment},
    frontend::{Frontend, backend_flags, frontend_flags},
    hash,
    outcome::Outcome,
    tuple::{TCP, Tuple},
};

use crate::{
    config, desk,
    flow::{self, Known, View},
    maps,
    maps::Tables,
    packet::{Packet, Step, Stop},
    raw::Skb,
    service::{self, NONE, Set},
};

/// Where a new flow goes.
pub struct Target<A> {
    /// The endpoint.
    pub backend: A,
    /// Its port.
    pub port: u16,
    /// Bits of [`flags`].
    pub flags: u8,
    /// Service id; 0 for a direct flow.
    pub service: u32,
    /// Backend id; 0 for a direct flow.
    pub backend_id: u32,
}

/// Decides about a packet that belongs to no flow.
#[inline(always)]
pub fn target<A: Tables>(skb: &Skb, packet: &Packet<A>) -> Step<&'static Target<A>> {
    decide(skb, packet)?;
    desk::target().ok_or(Stop::NotOurs)
}

/// Decides, and puts the target on the desk.
#[inline(never)]
fn decide<A: Tables>(skb: &Skb, packet: &Packet<A>) -> Step<()> {
    let tuple = &packet.tuple;
    let concern = maps::concern(&tuple.dst);
    let opens = opens(packet);
    let frontend = if concern.frontend { frontend(tuple, opens) } else { NONE };
    let is_asked = frontend.service != NONE.service;
    if !opens {
        return Err(if is_asked { Outcome::NoFlow.into() } else { Stop::NotOurs });
    }
    // A packet that another device's ingress hook has rewritten is never decided twice.
    let holder = if concern.backend { flow::holder(tuple)? } else { None };
    if let Some((role, ifindex)) = holder
        && (role != Role::RequestOut || ifindex != skb.ifindex())
    {
        return Err(Stop::NotOurs);
    }
    if is_asked {
        desk::put_target(balanced(tuple, frontend)?);
        return Ok(());
    }
    if holder.is_some() {
        desk::put_target(aside(tuple));
        return Ok(());
    }
    if concern.backend {
        note_direct(tuple);
    }
    Err(Stop::NotOurs)
}

/// Whether the endpoint of a client's packet (whose destination is `to`) still takes new flows.
#[inline(always)]
pub fn still_serves<A: Tables>(known: &Known<A>) -> bool {
    let View { facts, to } = known.view;
    if facts.flags & flags::DIRECT != 0 {
        return true;
    }
    let set = Set::of_flow(facts.flags);
    service::serves(facts.service, facts.backend_id, set, &to.dst, to.dport)
}

/// The frontend that a packet asks, at its address or at every address of the node, or [`NONE`].
#[inline(always)]
fn frontend<A: Tables>(tuple: &Tuple<A>, opens: bool) -> Frontend {
    service::frontend(&tuple.dst, tuple.dport, tuple.protocol, || {
        A::is_node_address(&tuple.dst) && !is_answer(tuple, opens)
    })
}

/// Whether a packet to a NodePort's number answers a connection of the node's own, or one that
/// netfilter masqueraded: both may use a port of that range towards a backend.
#[inline(always)]
fn is_answer<A: Tables>(tuple: &Tuple<A>, opens: bool) -> bool {
    if !maps::concern(&tuple.src).backend {
        return false;
    }
    !opens || desk::between(tuple).is_some_and(A::is_direct)
}

/// Decides about a packet at egress that belongs to no flow: a connection in the node's own name to
/// a backend is remembered, that its answers are known, and given a flow if another flow waits for
/// answers like its own.
#[inline(always)]
pub fn own<A: Tables>(packet: &Packet<A>, now_ns: u64) -> Step<&'static Target<A>> {
    let tuple = &packet.tuple;
    if !opens(packet) {
        return Err(Stop::NotOurs);
    }
    let to = maps::concern(&tuple.dst);
    if to.frontend {
        forbidden(tuple)?;
    }
    if !maps::concern(&tuple.src).frontend || !to.backend {
        return Err(Stop::NotOurs);
    }
    let answer = desk::answer(tuple).ok_or(Stop::NotOurs)?;
    if flow::is_awaited(answer, now_ns) && !desk::has_just_sent(tuple, now_ns) {
        desk::put_target(Target { flags: flags::OWN | flags::MASQUERADE, ..aside(tuple) });
        return desk::target().ok_or(Stop::NotOurs);
    }
    note_direct(tuple);
    Err(Stop::NotOurs)
}

/// Stops what the node's own processes send to a frontend, because their sockets were not given a
/// backend, and that policies forbid. (Of the others' packets, ingress has left none.)
#[inline(never)]
fn forbidden<A: Tables>(tuple: &Tuple<A>) -> Step<()> {
    let frontend = service::frontend(&tuple.dst, tuple.dport, tuple.protocol, || false);
    if frontend.service == NONE.service {
        return Ok(());
    }
    if !service::admits(frontend, &tuple.src) {
        return Err(Outcome::SourceRange.into());
    }
    let set = service::set_for(frontend, || true);
    if set == Set::LOCAL && !service::has_local(frontend.service) {
        return Err(service::why_none(frontend.service, set).into());
    }
    Ok(())
}

/// Whether a packet may be the first of its connection.
#[inline(always)]
pub fn opens<A: Tables>(packet: &Packet<A>) -> bool {
    packet.tuple.protocol != TCP || is_opening_segment(packet.tcp_flags)
}

#[inline(always)]
fn note_direct<A: Tables>(tuple: &Tuple<A>) {
    if let Some(between) = desk::between(tuple)
        && !A::is_direct(between)
    {
        A::note_direct(between);
    }
}

#[inline(always)]
fn balanced<A: Tables>(tuple: &Tuple<A>, frontend: Frontend) -> Step<Target<A>> {
    if !service::admits(frontend, &tuple.src) {
        return Err(Outcome::SourceRange.into());
    }
    let set = service::set_for(frontend, || service::is_pod(&tuple.src));
    let hash = hash::flow(config::hash_seed(), tuple);
    let backend_id = service::choose::<A>(frontend.service, set, hash, &tuple.src);
    let backend = if backend_id == 0 { None } else { A::backend(backend_id) };
    let backend = backend.ok_or_else(|| service::why_none(frontend.service, set))?;
    // The answer must come back through this node: a hairpin's would not leave the pod, and a
    // remote endpoint would answer an outside client directly. (Under the policy `Local`, only pods
    // of this node are given a remote one, and answers to them come here.)
    let remote = backend.flags & backend_flags::LOCAL == 0;
    let policy = frontend.flags & (frontend_flags::EXTERNAL | frontend_flags::LOCAL);
    let masquerade = backend.address == tuple.src || (policy == frontend_flags::EXTERNAL && remote);
    let local_set = if set == Set::LOCAL { flags::LOCAL_SET } else { 0 };
    Ok(Target {
        backend: backend.address,
        port: backend.port,
        flags: local_set | if masquerade { flags::MASQUERADE } else { 0 },
        service: frontend.service,
        backend_id,
    })
}

/// A direct connection whose tuple a service's flow holds: the same endpoint, another port.
#[inline(always)]
fn aside<A: Tables>(tuple: &Tuple<A>) -> Target<A> {
    Target {
        backend: tuple.dst,
        port: tuple.dport,
        flags: flags::DIRECT,
        service: 0,
        backend_id: 0,
    }
}
