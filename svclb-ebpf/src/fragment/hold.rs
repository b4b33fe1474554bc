//! Fragments that wait for their datagram's first one, in a ring: whoever is held takes the place
//! of the one that was held longest ago.

use svclb_common::{fragment::patience_ns, layout::size, outcome::Outcome};

use super::datagrams;
use crate::{
    maps::{self, Tables},
    raw::{self, Owned, Shared, Skb},
    report,
};

/// The fragment is held.
pub const HELD: u32 = 0;
/// It is not: its first one has come in the meantime.
pub const LATE: u32 = 1;
/// It is not: it is too long, or another CPU has its place.
pub const UNHELD: u32 = 2;

/// Holds the fragment at hand.
#[inline(never)]
pub fn hold<A: Tables>(skb: &Skb, now_ns: u64) -> u32 {
    let Some(sequence) = maps::next_held() else { return UNHELD };
    let Some(mut place) = slot(sequence).and_then(Shared::try_lock) else { return UNHELD };
    if place.sequence != 0 {
        report::count(Outcome::FragmentGivenUp);
        place.sequence = 0;
    }
    let len = skb.frame_len();
    if skb.load_frame(&mut place.frame, len).is_err() {
        return UNHELD;
    }
    (place.len, place.until_ns) = (len, now_ns + patience_ns::<A>());
    // Whoever sends it on waits until this lock is gone.
    let previous = datagrams::wait::<A>(sequence, now_ns);
    if previous == datagrams::NO_WAIT {
        return LATE;
    }
    (place.sequence, place.previous) = (sequence, previous);
    HELD
}

/// The place of the fragment with this number, whether it is still there or not.
#[inline(always)]
pub fn slot(sequence: u64) -> Option<Shared<svclb_common::fragment::Held>> {
    maps::held(sequence as u32 & (size::HELD - 1))
}

/// Takes the fragment with this number, if it is still there.
#[inline(always)]
pub fn take(sequence: u64) -> Option<Owned<svclb_common::fragment::Held>> {
    slot(sequence).and_then(Shared::lock).filter(|place| place.sequence == sequence)
}

/// Gives up what has waited for too long. An optimisation: without it, that is seen when its place
/// is needed.
#[inline(always)]
pub fn sweep(now_ns: u64) {
    let mut now_ns = now_ns;
    raw::repeat(size::HELD, &mut now_ns, give_up);
}

extern "C" fn give_up(index: u32, now_ns: *mut u64) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let now_ns = unsafe { *now_ns };
    let place = maps::held(index & (size::HELD - 1)).and_then(Shared::try_lock);
    if let Some(mut place) = place
        && place.sequence != 0
        && place.until_ns < now_ns
    {
        place.sequence = 0;
        report::count(Outcome::FragmentGivenUp);
    }
    0
}
