//! Opening a flow: a record, its tuple between the hooks, then its tuple as received.
//!
//! Two CPUs may open the same flow at once. The insertions decide: whoever comes second takes its
//! own back and goes on with the other's.

use svclb_common::{
    flow::{Facts, Flow, advance, flags},
    hash,
    outcome::Outcome,
    tuple::Tuple,
};

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

const EEXIST: i32 = -17;

/// Opens the flow of `packet` towards `target` in a record that is this CPU's.
///
/// # Errors
/// `FlowBusy` if another CPU has just opened the same flow; other outcomes if there is no room.
#[inline(never)]
pub fn open<A: Tables>(
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
    let hairpin = target.backend == tuple.src;
    flow.facts = Facts {
        last_seen_ns: raw::now_ns(),
        service: target.service,
        backend_id: target.backend_id,
        ifindex: skb.ifindex(),
        masq_port: 0,
        mac: [0; 6],
        protocol: tuple.protocol,
        flags: target.flags | bridge::flags_for(skb, hairpin),
        from_client: advance(0, packet.tcp_flags),
        from_backend: 0,
    };
    (flow.client, flow.client_port) = (tuple.src, tuple.sport);
    (flow.frontend, flow.frontend_port) = (tuple.dst, tuple.dport);
    (flow.backend, flow.backend_port) = (target.backend, target.port);
    (flow.masq, flow.between_port) = (A::ANY, tuple.sport);
}

/// Puts both tuples of a new flow into the index, or none.
#[inline(always)]
fn index<A: Tables>(flow: &mut Flow<A>, received: &Tuple<A>, number: u32) -> Result<(), Outcome> {
    let between = reserve_between(flow, received, number)?;
    A::insert_tuple(received, number).map_err(|error| {
        A::remove_tuple(between);
        refused(error)
    })
}

/// Finds a source port that leaves the tuple between the hooks to this flow alone.
#[inline(always)]
fn reserve_between<A: Tables>(
    flow: &mut Flow<A>,
    received: &Tuple<A>,
    number: u32,
) -> Result<&'static Tuple<A>, Outcome> {
    let own_tuple_is_free = flow.facts.flags & flags::DIRECT == 0;
    let hash = hash::flow(config::hash_seed() ^ 1, received);
    for attempt in 0..TRIES {
        if attempt != 0 {
            let spread = hash.wrapping_add(attempt.wrapping_mul(0x9e37_79b1));
            let range = u32::from(u16::MAX - FIRST_PORT);
            flow.between_port = FIRST_PORT + hash::scale(spread, range) as u16;
        } else if !own_tuple_is_free {
            continue;
        }
        let between = flow.between();
        let key = desk::between(&between).ok_or(Outcome::FlowBusy)?;
        if between.is_self() || A::is_direct(key) {
            continue;
        }
        match A::insert_tuple(key, number) {
            Ok(()) => return Ok(key),
            // Taken: by another flow, or by this very one on another CPU.
            Err(EEXIST) if A::tuple(received).is_none() => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Outcome::NoBetweenPort)
}

#[inline(always)]
fn refused(error: i32) -> Outcome {
    if error == EEXIST { Outcome::FlowBusy } else { Outcome::TupleTableFull }
}
