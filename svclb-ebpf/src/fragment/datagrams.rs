//! What is remembered of datagrams. The one at hand lies on the desk; a bucket is locked for as
//! long as it is looked at.

use svclb_common::{
    fragment::{Bucket, Datagram, DatagramKey, WAYS, state},
    layout::size,
};

use crate::{
    config,
    desk::{self, Place},
    maps::Tables,
    raw::{Owned, Shared},
};

/// Notes that the datagram's first fragment has come and what became of it. Returns the number of
/// the youngest fragment that waits for it, or 0.
#[inline(never)]
pub fn arrived<A: Tables>(now_ns: u64) -> u64 {
    let (Some(key), Some(part), Some(fate)) =
        (desk::datagram::<A>(), desk::part::<A>(), desk::fate::<A>())
    else {
        return 0;
    };
    let Some(mut bucket) = bucket(key) else { return 0 };
    let Some((datagram, is_found)) = search(&mut bucket, key, now_ns) else { return 0 };
    let held = if is_found { datagram.held } else { 0 };
    datagram.begin(key, now_ns);
    datagram.fate = *fate;
    datagram.coverage.add(part);
    held
}

/// Looks for what became of the datagram's first fragment and puts it on the desk; returns its
/// [`state`]. With its last fragment, a datagram is as good as forgotten: its number may be
/// another's next.
#[inline(never)]
pub fn known<A: Tables>(now_ns: u64) -> u32 {
    let (Some(key), Some(part), Some(fate)) =
        (desk::datagram::<A>(), desk::part::<A>(), desk::fate::<A>())
    else {
        return 0;
    };
    let Some(mut bucket) = bucket(key) else { return 0 };
    let Some((datagram, true)) = search(&mut bucket, key, now_ns) else { return 0 };
    let known = datagram.fate.state;
    if known != state::AWAITED {
        *fate = datagram.fate;
        if datagram.coverage.add(part) {
            datagram.complete(now_ns);
        }
    }
    u32::from(known)
}

/// What [`wait`] says if there is nothing to wait for, or nowhere.
pub const NO_WAIT: u64 = u64::MAX;

/// Notes that the fragment with this number waits for the datagram's first one. Returns the number
/// of the one that was the youngest before it, or 0.
#[inline(never)]
pub fn wait<A: Tables>(sequence: u64, now_ns: u64) -> u64 {
    let Some(key) = desk::datagram::<A>() else { return NO_WAIT };
    let Some(mut bucket) = bucket(key) else { return NO_WAIT };
    let Some((datagram, is_found)) = search(&mut bucket, key, now_ns) else { return NO_WAIT };
    if !is_found {
        datagram.begin(key, now_ns);
    }
    if datagram.fate.state != state::AWAITED {
        return NO_WAIT;
    }
    let previous = datagram.held;
    datagram.held = sequence;
    previous
}

#[inline(always)]
fn bucket<A: Tables>(key: &DatagramKey<A>) -> Option<Owned<Bucket<A>>> {
    let number = key.hash(config::hash_seed()) & (size::FRAGMENT_BUCKETS - 1);
    A::fragments(number).and_then(Shared::lock)
}

/// The datagram of `key`, or the one whose place it may have, and whether it was found.
#[inline(always)]
fn search<'a, A: Tables>(
    bucket: &'a mut Bucket<A>,
    key: &DatagramKey<A>,
    now_ns: u64,
) -> Option<(&'a mut Datagram<A>, bool)> {
    look(bucket, key, now_ns);
    let place = desk::place::<A>()?;
    let datagram = bucket.datagrams.get_mut(place.number as usize)?;
    Some((datagram, place.is_found != 0))
}

/// Puts the place on the desk. Behind this function, the kernel's verifier knows only that it is
/// a number, and does not follow the rest for each place.
#[inline(never)]
fn look<A: Tables>(bucket: &Bucket<A>, key: &DatagramKey<A>, now_ns: u64) {
    let found = bucket.find(key, now_ns);
    let place = if found < WAYS { found } else { bucket.place(now_ns) };
    let is_found = u32::from(found < WAYS);
    desk::put_place::<A>(Place { number: place as u32, is_found });
}
