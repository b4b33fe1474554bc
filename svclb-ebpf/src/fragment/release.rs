//! Sending held fragments on.
//!
//! A program cannot make a packet, only copies of the one it has. So the first fragment is put
//! aside, each held one in turn takes its place, a copy is sent through the same device again, and
//! at last the first one is put back. At its second time, a copy finds what became of the first.

use svclb_common::{fragment::FRAME, outcome::Outcome};

use super::hold::take;
use crate::{
    hook::Hook,
    maps,
    raw::{self, Back, Skb},
    report,
};

/// Where a CPU puts a packet aside. Value of `aside`.
#[repr(C)]
pub struct Aside {
    /// Bytes of the frame that is here; 0 for none.
    len: u64,
    frame: [u8; FRAME],
}

/// The most fragments that are held for a datagram: of one as long as can be, the parts that a link
/// of 576 bytes takes.
const MOST: u32 = 128;

/// The first fragment is as it was.
pub const KEPT: u32 = 0;
/// It is not.
pub const SPOILT: u32 = 1;

/// Held fragments on their way.
struct Chain {
    skb: Skb,
    /// The next one's number.
    next: u64,
    now_ns: u64,
    way: Back,
}

/// Sends the fragment with the number `youngest` and those that were held before it.
#[inline(never)]
pub fn send<H: Hook>(skb: &mut Skb, youngest: u64, now_ns: u64) -> u32 {
    let Some(aside) = maps::aside() else { return KEPT };
    // At egress, what is sent passes other hooks before this one goes on.
    if aside.len != 0 || skb.is_joined() {
        return KEPT;
    }
    let len = skb.frame_len();
    if skb.load_frame(&mut aside.frame, len).is_err() {
        return KEPT;
    }
    aside.len = u64::from(len);
    // A copy has the note as well, and would be taken for one that has been here.
    let note = skb.take_note();
    let mut chain = Chain { skb: *skb, next: youngest, now_ns, way: H::AGAIN };
    raw::repeat(MOST, &mut chain, send_next);
    let restored = skb.replace_frame(&aside.frame, len);
    aside.len = 0;
    skb.put_note(note);
    if restored.is_ok() {
        return KEPT;
    }
    report::count(Outcome::RewriteFailed);
    SPOILT
}

/// Sends the next one; 1 after the last.
extern "C" fn send_next(_index: u32, chain: *mut Chain) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let chain = unsafe { &mut *chain };
    let Some(mut held) = take(chain.next) else { return 1 };
    chain.next = held.previous;
    held.sequence = 0;
    let len = held.len;
    let fresh = chain.now_ns <= held.until_ns;
    let made = fresh && chain.skb.replace_frame(&held.frame, len).is_ok();
    drop(held);
    if made {
        chain.skb.send_copy(chain.way);
    } else {
        report::count(Outcome::FragmentGivenUp);
    }
    i64::from(chain.next == 0)
}

/// Drops the fragment with the number `youngest` and those that were held before it.
#[inline(never)]
pub fn discard(youngest: u64) {
    let mut next = youngest;
    raw::repeat(MOST, &mut next, discard_next);
}

extern "C" fn discard_next(_index: u32, next: *mut u64) -> i64 {
    // SAFETY: as above.
    let next = unsafe { &mut *next };
    let Some(mut held) = take(*next) else { return 1 };
    *next = held.previous;
    held.sequence = 0;
    report::count(Outcome::FragmentDropped);
    i64::from(*next == 0)
}
