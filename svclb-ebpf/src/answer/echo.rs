//! Ping to a service's address, which is on no interface that could answer.

use svclb_common::{
    checksum::Difference, echo, frontend::frontend_flags, outcome::Outcome, tuple::Tuple,
};

use super::answerable;
use crate::{
    config,
    packet::{Network, Packet, Step, Stop},
    raw::{Back, Skb},
    service::{self, NONE},
};

/// Offset of the checksum in an ICMP header.
const CHECKSUM: u32 = 2;

/// Turns an echo request to a service's address into its reply.
#[inline(never)]
pub fn answer<A: Network>(skb: &mut Skb, packet: &Packet<A>, back: Back) -> Step<Outcome> {
    if !is_answered(packet) {
        return Err(Stop::NotOurs);
    }
    answerable(skb, packet)?;
    write(skb, packet).and_then(|()| skb.send_back(back)).map_err(|()| Outcome::AnswerFailed)?;
    Ok(Outcome::EchoAnswered)
}

#[inline(always)]
fn is_answered<A: Network>(packet: &Packet<A>) -> bool {
    let mode = config::echo();
    if mode == echo::OFF {
        return false;
    }
    let vip = service::vip(&packet.tuple.dst);
    let external = vip.flags & frontend_flags::EXTERNAL != 0;
    vip.service != NONE.service && (!external || mode == echo::ALL)
}

#[inline(always)]
fn write<A: Network>(skb: &mut Skb, packet: &Packet<A>) -> Result<(), ()> {
    let ([asks, answers], tuple) = (A::ECHO, &packet.tuple);
    let kind = |number: u8| u16::from_be_bytes([number, 0]);
    let change = Difference::NONE.port(kind(asks), kind(answers));
    skb.update_checksum(packet.transport + CHECKSUM, change.wsum(), 0)?;
    skb.store(packet.transport, &answers, 0)?;
    A::store_hops(skb)?;
    let back = Tuple { src: tuple.dst, dst: tuple.src, ..*tuple };
    A::store_addresses(skb, tuple, &back)
}
