//! Level three of the ladder: the programs in the kernel, one packet at a time.

mod addresses;
mod affinity;
mod answers;
mod collisions;
mod conversation;
mod differential;
mod ends;
mod errors;
mod explained;
mod fragments;
mod hostile;
mod inside;
mod nat;
mod objects;
mod policies;
mod pressure;
mod races;
mod sctp;
mod vanish;

use std::net::SocketAddr;

use svclb::plan::operation::Protocol;
use svclb_tests::{
    packet::{
        Link, Packet, Seen, explain, flags,
        sctp::{self as chunks, kind},
    },
    programs::{Action, Hook, Programs},
};

/// A frame of `protocol`: a SYN, or a datagram with a payload.
fn opening(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    match protocol {
        Protocol::Tcp => segment(src, dst, flags::SYN),
        Protocol::Udp => Packet::udp(src, dst).payload(b"ping").ethernet().build(),
        Protocol::Sctp => chunk(src, dst, kind::INIT),
    }
}

/// A frame that answers [`opening`].
fn answer(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    match protocol {
        Protocol::Tcp => segment(src, dst, flags::SYN | flags::ACK),
        Protocol::Udp => Packet::udp(src, dst).payload(b"pong").ethernet().build(),
        Protocol::Sctp => chunk(src, dst, kind::INIT_ACK),
    }
}

/// A TCP segment with these flags.
fn segment(src: SocketAddr, dst: SocketAddr, flags: u8) -> Vec<u8> {
    Packet::tcp(src, dst).flags(flags).payload(b"data").ethernet().build()
}

/// An SCTP packet with one chunk, whose verification tag is zero where it must be.
fn chunk(src: SocketAddr, dst: SocketAddr, kind: u8) -> Vec<u8> {
    let payload = chunks::chunk(kind, 0, b"contents");
    Packet::sctp(src, dst, chunks::tag(kind)).payload(&payload).ethernet().build()
}

/// What a frame says; its checksums and lengths are right.
fn right(frame: &[u8]) -> Seen {
    explain(frame, Link::Ethernet).unwrap_or_else(|fault| panic!("{fault}: {frame:02x?}"))
}

/// Runs a frame that must pass; what it says afterwards.
fn pass(programs: &Programs, hook: Hook, frame: &[u8]) -> Seen {
    let (action, out) = programs.run(hook, frame);
    assert_eq!(action, Action::Next, "{:?}", right(frame));
    right(&out)
}

/// Runs a frame that must pass untouched.
fn untouched(programs: &Programs, hook: Hook, frame: &[u8]) {
    let (action, out) = programs.run(hook, frame);
    assert_eq!((action, &out[..]), (Action::Next, frame), "{hook:?}");
}

/// Runs a frame that must be dropped.
fn dropped(programs: &Programs, hook: Hook, frame: &[u8]) {
    assert_eq!(programs.run(hook, frame).0, Action::Drop, "{:?}", right(frame));
}

/// Runs a frame that must be answered by a refusal.
fn refused(programs: &Programs, hook: Hook, frame: &[u8]) {
    assert_eq!(programs.run(hook, frame).0, Action::Back, "{:?}", right(frame));
}

/// A reply of the same kind as `seen`, from its destination.
fn reply_to(protocol: Protocol, seen: &Seen) -> Vec<u8> {
    answer(protocol, seen.dst, seen.src)
}
