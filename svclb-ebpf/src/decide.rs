//! Whose packet is it? From a frontend to a backend, or a direct connection that must step aside.

use svclb_common::{
    flow::{Role, flags as flow_flags, is_opening_segment},
    frontend::{Frontend, backend_flags, frontend_flags},
    hash,
    outcome::Outcome,
    tuple::{SCTP, TCP, Tuple, UDP},
};

use crate::{
    config, desk,
    flow::{self, Known, View},
    maps,
    maps::Tables,
    packet::{Packet, Step, Stop},
    raw::{self, Skb},
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
    find(skb, packet)?;
    let Frontend { service, flags } = desk::frontend::<A>();
    if service != NONE.service {
        balance(&packet.tuple, service, flags, skb.ifindex())?;
    }
    desk::target().ok_or(Stop::NotOurs)
}

/// Puts the frontend that is asked on the desk; or none, and the target of a direct connection.
#[inline(never)]
fn find<A: Tables>(skb: &Skb, packet: &Packet<A>) -> Step<()> {
    let tuple = &packet.tuple;
    let concern = maps::concern(&tuple.dst);
    let opens = opens(packet);
    let frontend = if concern.frontend { frontend(tuple, opens) } else { NONE };
    let is_asked = frontend.service != NONE.service;
    if !is_asked && concern.frontend {
        allocated(&tuple.dst)?;
    }
    if !opens {
        return Err(if is_asked { midstream(skb, tuple, frontend) } else { Stop::NotOurs });
    }
    // A packet that another device's ingress hook has rewritten is never decided twice.
    let holder = if concern.backend { flow::holder(tuple)? } else { None };
    if let Some((role, ifindex)) = holder
        && (role != Role::RequestOut || ifindex != skb.ifindex())
    {
        return Err(Stop::NotOurs);
    }
    desk::put_frontend::<A>(frontend);
    if is_asked {
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

/// What becomes of TCP or SCTP in mid-stream that asks a frontend and has no flow: refused, so that the
/// client connects anew, unless it belongs to the node itself. (A process may have a NodePort's
/// number as its own port, and ask anybody from there.)
#[inline(always)]
fn midstream<A: Tables>(skb: &Skb, tuple: &Tuple<A>, frontend: Frontend) -> Stop {
    if tuple.protocol == TCP && raw::has_connection(skb.as_ptr(), tuple) {
        return Stop::NotOurs;
    }
    if !service::admits(frontend, &tuple.src) {
        return Outcome::SourceRange.into();
    }
    let outcome = match tuple.protocol {
        _ if config::takeover() => Outcome::LeftToKernel,
        SCTP => Outcome::SctpNoFlow,
        _ => Outcome::NoFlow,
    };
    outcome.into()
}

/// Whether the endpoint of a client's packet (whose destination is `to`) still takes new flows.
#[inline(always)]
pub fn still_serves<A: Tables>(known: &Known<A>) -> bool {
    let View { facts, to } = known.view;
    if facts.flags & flow_flags::DIRECT != 0 {
        return true;
    }
    let set = Set::of_flow(facts.flags);
    service::serves(facts.service, facts.backend_id, set, &to.dst, to.dport)
}

/// The frontend that a packet asks, at its address or at every address of the node, or [`NONE`].
#[inline(always)]
fn frontend<A: Tables>(tuple: &Tuple<A>, opens: bool) -> Frontend {
    service::frontend(&tuple.dst, tuple.dport, tuple.protocol, || {
        // What a device brings for loopback is not from this node.
        A::has_node_ports(&tuple.dst) && !tuple.dst.is_loopback() && !is_answer(tuple, opens)
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
    if flow::is_awaited(answer, now_ns)? && !desk::has_just_sent(tuple, now_ns) {
        desk::put_target(Target {
            flags: flow_flags::OWN | flow_flags::MASQUERADE,
            ..aside(tuple)
        });
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
        return allocated(&tuple.dst);
    }
    if !service::admits(frontend, &tuple.src) {
        return Err(Outcome::SourceRange.into());
    }
    let set = service::set_for(frontend, || true);
    if service::is_empty(frontend.service, set) {
        return Err(service::why_none(frontend.service, set).into());
    }
    Ok(())
}

/// Stops what is sent to an address where no frontend is, and nobody else may be.
#[inline(never)]
fn allocated<A: Tables>(address: &A) -> Step<()> {
    if service::is_cluster_ip(address) {
        return Err(Outcome::UnusedPort.into());
    }
    if service::is_unallocated(address) {
        return Err(Outcome::Unallocated.into());
    }
    Ok(())
}

/// Whether a packet may be the first of its connection.
#[inline(always)]
pub fn opens<A: Tables>(packet: &Packet<A>) -> bool {
    packet.tuple.protocol == UDP || is_opening_segment(packet.tcp_flags)
}

#[inline(always)]
fn note_direct<A: Tables>(tuple: &Tuple<A>) {
    if let Some(between) = desk::between(tuple)
        && !A::is_direct(between)
    {
        A::note_direct(between);
    }
}

/// Chooses the endpoint for a client of a frontend, whose packet came from a device, and puts it on
/// the desk.
#[inline(never)]
fn balance<A: Tables>(tuple: &Tuple<A>, service: u32, flags: u32, ifindex: u32) -> Step<()> {
    let frontend = Frontend { service, flags };
    if !service::admits(frontend, &tuple.src) {
        return Err(Outcome::SourceRange.into());
    }
    let set = service::set_for(frontend, || service::is_inside(&tuple.src, ifindex));
    let hash = hash::flow(config::hash_seed(), tuple);
    let backend_id = service::choose::<A>(frontend.service, set, hash, &tuple.src);
    let backend = if backend_id == 0 { None } else { A::backend(backend_id) };
    let backend = backend.ok_or_else(|| service::why_none(frontend.service, set))?;
    // A hairpin's answer would not leave the pod.
    let masquerade =
        backend.address == tuple.src || hides_client(&tuple.src, frontend, ifindex, backend.flags);
    let local_set = if set == Set::LOCAL { flow_flags::LOCAL_SET } else { 0 };
    desk::put_target(Target {
        backend: backend.address,
        port: backend.port,
        flags: local_set | if masquerade { flow_flags::MASQUERADE } else { 0 },
        service,
        backend_id,
    });
    Ok(())
}

/// Whether the endpoint is to see the node in place of the client, that its answer comes back
/// through here.
///
/// To an external frontend it is if the endpoint is remote and would answer an outside client
/// directly. (Under the policy `Local`, only clients inside are given a remote one, and answers to
/// them come here.) To a ClusterIP, it is if the client is outside: nothing else says that answers
/// to it come this way.
#[inline(always)]
fn hides_client<A: Tables>(client: &A, frontend: Frontend, ifindex: u32, endpoint: u8) -> bool {
    if frontend.flags & frontend_flags::EXTERNAL != 0 {
        let held = frontend.flags & frontend_flags::LOCAL != 0;
        return !held && endpoint & backend_flags::LOCAL == 0;
    }
    config::masquerade_all() || service::is_outside(client, ifindex)
}

/// A direct connection whose tuple a service's flow holds: the same endpoint, another port.
#[inline(always)]
fn aside<A: Tables>(tuple: &Tuple<A>) -> Target<A> {
    Target {
        backend: tuple.dst,
        port: tuple.dport,
        flags: flow_flags::DIRECT,
        service: 0,
        backend_id: 0,
    }
}
