//! Opening a flow: a record, its tuple between the hooks, then its tuple as received.
//!
//! Two CPUs may open the same flow at once. The insertions decide: whoever comes second takes its
//! own back and goes on with the other's.

use svclb_common::{
    flow::{Facts, Flow, flags},
    hash,
    outcome::Outcome,
    tuple::Tuple,
};

use super::claim::claim;
use crate::{
    bridge, config,
    decide::Target,
    desk,
    maps::Tables,
    packet::Packet,
    raw::{self, Locked, Skb},
    report,
};

/// How many source ports are tried towards a backend.
const TRIES: u32 = 8;
/// The first source port that is tried when the client's own is taken.
const FIRST_PORT: u16 = 1024;
/// How many there are from there on.
const PORTS: u32 = 65_536 - FIRST_PORT as u32;

const EEXIST: i32 = -17;

/// Opens the flow of `packet` towards `target`, unless another CPU has just opened it.
///
/// # Errors
/// There is no room.
#[inline(always)]
pub fn begin<A: Tables>(
    skb: &Skb,
    packet: &Packet<A>,
    target: &Target<A>,
    now_ns: u64,
) -> Result<(), Outcome> {
    let mut locked = claim(now_ns)?;
    let opened = open(skb, packet, target, &mut locked);
    locked.unlock();
    match opened {
        Ok(()) | Err(Outcome::FlowBusy) => Ok(()),
        Err(why) => Err(why),
    }
}

/// Opens it in a record that is this CPU's.
///
/// # Errors
/// `FlowBusy` if another CPU has just opened the same flow; other outcomes if there is no room.
#[inline(never)]
fn open<A: Tables>(
    skb: &Skb,
    packet: &Packet<A>,
    target: &Target<A>,
    locked: &mut Locked<A>,
) -> Result<(), Outcome> {
    let number = locked.number();
    let flow = locked.flow();
    describe(flow, skb, packet, target);
    if let Err(why) = index(flow, &packet.tuple, number) {
        flow.facts.protocol = 0;
        return Err(why);
    }
    report::opened(&flow.facts);
    Ok(())
}

/// Writes the new flow into its record, its port between the hooks still the client's.
#[inline(always)]
fn describe<A: Tables>(flow: &mut Flow<A>, skb: &Skb, packet: &Packet<A>, target: &Target<A>) {
    let tuple = &packet.tuple;
    let masquerade = target.flags & flags::MASQUERADE != 0;
    flow.facts = Facts {
        last_seen_ns: raw::now_ns(),
        service: target.service,
        backend_id: target.backend_id,
        ifindex: skb.ifindex(),
        masq_port: 0,
        mac: [0; 6],
        protocol: tuple.protocol,
        flags: target.flags | bridge::flags_for(skb, masquerade),
        from_client: 0,
        from_backend: 0,
    };
    flow.facts.from_client = flow.facts.after_client(packet.tcp_flags);
    (flow.client, flow.client_port) = (tuple.src, tuple.sport);
    (flow.frontend, flow.frontend_port) = (tuple.dst, tuple.dport);
    (flow.backend, flow.backend_port) = (target.backend, target.port);
    (flow.masq, flow.between_port) = (A::ANY, tuple.sport);
}

/// Puts both tuples of a new flow into the index, or none.
#[inline(always)]
fn index<A: Tables>(flow: &mut Flow<A>, received: &Tuple<A>, number: u32) -> Result<(), Outcome> {
    reserve_between(received, number)?;
    A::insert_tuple(received, number).map_err(|error| {
        if let Some(key) = desk::between(&flow.between()) {
            A::remove_tuple(key);
        }
        refused(error)
    })
}

/// A search for a source port between the hooks.
struct Search {
    number: u32,
    hash: u32,
    /// 0 while the search goes on, else the error of the last insertion, or [`FOUND`].
    result: i32,
}

const FOUND: i32 = 1;

/// Finds a source port that leaves the tuple between the hooks to this flow alone.
#[inline(always)]
fn reserve_between<A: Tables>(received: &Tuple<A>, number: u32) -> Result<(), Outcome> {
    let hash = hash::flow(config::hash_seed() ^ 1, received);
    let mut search = Search { number, hash, result: 0 };
    raw::repeat(TRIES, &mut search, try_port::<A>);
    match search.result {
        FOUND => Ok(()),
        0 => Err(Outcome::NoBetweenPort),
        error => Err(refused(error)),
    }
}

/// Tries the next port; 1 ends the search.
extern "C" fn try_port<A: Tables>(attempt: u32, search: *mut Search) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let search = unsafe { &mut *search };
    let Some(record) = A::record(search.number) else { return 1 };
    let mut locked = Locked::resume(record);
    let flow = locked.flow();
    if attempt != 0 {
        let spread = search.hash.wrapping_add(attempt.wrapping_mul(0x9e37_79b1));
        flow.between_port = FIRST_PORT + hash::scale(spread, PORTS) as u16;
    } else if flow.facts.flags & flags::DIRECT != 0 {
        // Its own tuple is what it steps aside from.
        return 0;
    }
    search.result = reserve(flow, search.number);
    i64::from(search.result != 0)
}

/// Takes the flow's tuple between the hooks: 0 if it is another flow's.
#[inline(always)]
fn reserve<A: Tables>(flow: &Flow<A>, number: u32) -> i32 {
    let between = flow.between();
    let Some(key) = desk::between(&between) else { return EEXIST };
    // (A direct connection of the node's own that is given a flow may have been known before.)
    let known = flow.facts.flags & flags::OWN == 0 && A::is_direct(key);
    if between.is_self() || known {
        return 0;
    }
    match A::insert_tuple(key, number) {
        Ok(()) => FOUND,
        // Taken: by another flow, or by this very one on another CPU.
        Err(EEXIST) if A::tuple(&flow.received()).is_none() => 0,
        Err(error) => error,
    }
}

#[inline(always)]
fn refused(error: i32) -> Outcome {
    if error == EEXIST { Outcome::FlowBusy } else { Outcome::TupleTableFull }
}
