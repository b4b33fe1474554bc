//! Fragments: what became of a datagram's first one, which alone has the ports, and the later ones
//! that came before it.
//!
//! Everything here is bounded: datagrams by the buckets, held fragments by the slots. What is old
//! makes room for what is new.

use crate::{
    address::{Address, V4, V6},
    hash, plain_data,
};

/// How many datagrams a bucket holds.
pub const WAYS: usize = 4;
/// The longest frame that is held, link header included: a jumbo frame's, rounded up to words.
pub const FRAME: usize = 9_240;
/// The longest datagram: what an offset of 13 bits in units of 8 bytes can say, less than one unit.
pub const LONGEST: u32 = 65_535;

/// For how long a datagram may be on its way: what Linux waits for the rest before it throws the
/// fragments away (`ipfrag_time` and `ip6frag_time`).
#[inline(always)]
pub fn patience_ns<A: Address>() -> u64 {
    let seconds: u64 = if A::IS_V6 { 60 } else { 30 };
    seconds * 1_000_000_000
}

/// For how long a datagram is known when all of it has passed. While an agent replaces a device's
/// programs, old and new ones both see what passes, and the second would hold the last fragment of
/// a datagram that it does not know. For its sender to use the number again within this, it must
/// send six million datagrams a second to one address.
pub const LINGER_NS: u64 = 10_000_000;

/// What fragments of one datagram have in common at one hook.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DatagramKey<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// The sender's number of the datagram.
    pub id: u32,
    /// Interface index of the device whose hook it is.
    pub ifindex: u32,
    /// IANA protocol number; 0 for IPv6, which does without (RFC 8200, section 4.5).
    pub protocol: u8,
    /// One of [`side`](crate::tuple::side): ingress or egress.
    pub side: u8,
    /// Always zero.
    pub pad: [u8; 2],
}

impl<A: Address> PartialEq for DatagramKey<A> {
    /// Without a branch for each field: buckets are searched, and the kernel's verifier follows
    /// every branch.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let mut differs = self.id ^ other.id | self.ifindex ^ other.ifindex;
        differs |= u32::from(self.protocol ^ other.protocol) | u32::from(self.side ^ other.side);
        let mut i = 0;
        while i < A::WORDS {
            differs |= self.src.word(i) ^ other.src.word(i);
            differs |= self.dst.word(i) ^ other.dst.word(i);
            i += 1;
        }
        differs == 0
    }
}
impl<A: Address> Eq for DatagramKey<A> {}

impl<A: Address> DatagramKey<A> {
    /// Which of `2^n` buckets it belongs into, as a number of 32 bits.
    #[inline(always)]
    pub fn hash(&self, seed: u64) -> u32 {
        let state = hash::address(hash::address(seed, &self.src), &self.dst);
        let number = u64::from(self.id) << 32 | u64::from(self.ifindex);
        let kind = u64::from(self.protocol) << 8 | u64::from(self.side);
        (hash::mix(hash::mix(state, number), kind) >> 32) as u32
    }
}

/// A fragment's place in its datagram.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The sender's number of the datagram.
    pub id: u32,
    /// Where it begins, in bytes.
    pub offset: u32,
    /// How many bytes of the datagram it carries.
    pub len: u32,
    /// 1 unless it is the last one.
    pub more: u32,
}

impl Part {
    /// A datagram in one piece.
    pub const WHOLE: Self = Self { id: 0, offset: 0, len: 0, more: 0 };

    /// Whether this is one piece of several.
    #[inline(always)]
    pub fn is_part(&self) -> bool {
        self.offset | self.more != 0
    }

    /// Whether its header is without contradiction: only the last one may have a length that is no
    /// multiple of 8, and no datagram is longer than a length field can say.
    #[inline(always)]
    pub fn is_sound(&self) -> bool {
        let ragged = self.more != 0 && !self.len.is_multiple_of(8);
        self.len != 0 && !ragged && self.offset + self.len <= LONGEST
    }
}

/// What has been seen of a datagram.
///
/// A fragment is known by the half kilobyte that it begins in, so that one that comes twice is
/// counted once: of the fragments that networks make, none is shorter. Of shorter ones some are
/// not counted, and the datagram is forgotten by its age.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Coverage {
    /// A bit for each half kilobyte in which a fragment begins.
    pub begun: [u64; 2],
    /// Bytes of the fragments that were counted.
    pub bytes: u32,
    /// The datagram's length; 0 until its last fragment has been seen.
    pub total: u32,
}

impl Coverage {
    /// Counts a fragment; whether that was all.
    #[inline(always)]
    pub fn add(&mut self, part: &Part) -> bool {
        let place = part.offset / 512;
        let bit = 1 << (place % 64);
        let word = if place < 64 { &mut self.begun[0] } else { &mut self.begun[1] };
        if *word & bit == 0 {
            *word |= bit;
            self.bytes += part.len;
        }
        if part.more == 0 {
            self.total = part.offset + part.len;
        }
        self.is_all()
    }

    /// Whether all of the datagram has been seen.
    #[inline(always)]
    pub fn is_all(&self) -> bool {
        self.total != 0 && self.bytes >= self.total
    }
}

/// How far a datagram has come. Values of [`Fate::state`].
pub mod state {
    /// None is here.
    pub const NONE: u8 = 0;
    /// Later fragments wait for the first.
    pub const AWAITED: u8 = 1;
    /// The first has gone on, to the addresses that are noted.
    pub const SENT: u8 = 2;
    /// The first was dropped, or answered in the receiver's place.
    pub const DROPPED: u8 = 3;
}

/// Whose traffic a datagram is. Values of [`Fate::counted`].
pub mod counted {
    /// Nobody's: another hook counts it.
    pub const NOT: u8 = 0;
    /// A client's question.
    pub const REQUEST: u8 = 1;
    /// A backend's answer.
    pub const REPLY: u8 = 2;
}

/// What a first fragment was given, and later ones are.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fate<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// Service id that it is counted for.
    pub service: u32,
    /// Backend id that it is counted for.
    pub backend_id: u32,
    /// Destination of the Ethernet header; all zero where that is left alone.
    pub mac: [u8; 6],
    /// One of [`state`].
    pub state: u8,
    /// One of [`counted`].
    pub counted: u8,
}

/// A datagram in fragments.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Datagram<A> {
    /// When it was first seen: `CLOCK_MONOTONIC` nanoseconds. Of a complete one, so long ago that it
    /// ends soon.
    pub since_ns: u64,
    /// The youngest fragment that is held: [`Held::sequence`], or 0.
    pub held: u64,
    /// What has been seen of it.
    pub coverage: Coverage,
    /// Which one it is.
    pub key: DatagramKey<A>,
    /// What became of its first fragment.
    pub fate: Fate<A>,
    /// Always zero.
    pub pad: [u8; 4],
}

impl<A: Address> Datagram<A> {
    /// Whether it is one, and not too old.
    #[inline(always)]
    pub fn is_live(&self, now_ns: u64) -> bool {
        (self.fate.state != state::NONE) & (self.age_ns(now_ns) <= patience_ns::<A>())
    }

    /// Begins anew as the datagram of `key`, whose first fragment has not come.
    #[inline(always)]
    pub fn begin(&mut self, key: &DatagramKey<A>, now_ns: u64) {
        (self.key, self.since_ns, self.held) = (*key, now_ns, 0);
        self.coverage = Coverage::default();
        self.fate.state = state::AWAITED;
    }

    /// All of it has passed: it ends after [`LINGER_NS`].
    #[inline(always)]
    pub fn complete(&mut self, now_ns: u64) {
        self.since_ns = now_ns.saturating_sub(patience_ns::<A>() - LINGER_NS);
    }

    #[inline(always)]
    fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.since_ns)
    }
}

/// Datagrams whose keys have one hash. Value of `fragments4`/`fragments6`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bucket<A> {
    /// 0, or 1 while a CPU has it.
    pub lock: u64,
    /// The datagrams.
    pub datagrams: [Datagram<A>; WAYS],
}

const _: () = assert!(size_of::<Bucket<V4>>() == 8 + WAYS * 88);
const _: () = assert!(size_of::<Bucket<V6>>() == 8 + WAYS * 136);
plain_data!(Bucket<V4>, Bucket<V6>);

impl<A: Address> Bucket<A> {
    /// The place of the datagram of `key`; [`WAYS`] if it is not here.
    #[inline(always)]
    pub fn find(&self, key: &DatagramKey<A>, now_ns: u64) -> usize {
        let mut i = 0;
        while i < WAYS {
            let datagram = &self.datagrams[i];
            if datagram.is_live(now_ns) & (datagram.key == *key) {
                break;
            }
            i += 1;
        }
        i
    }

    /// The place for a new datagram: one that is free, or else the oldest one's.
    #[inline(always)]
    pub fn place(&self, now_ns: u64) -> usize {
        let (mut best, mut oldest, mut i) = (0, 0, 0);
        while i < WAYS {
            let datagram = &self.datagrams[i];
            let live = datagram.is_live(now_ns);
            let age = if live { datagram.age_ns(now_ns) } else { u64::MAX };
            if age >= oldest {
                (best, oldest) = (i, age);
            }
            i += 1;
        }
        best
    }
}

/// A fragment that waits for its datagram's first one. Value of `held`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// 0, or 1 while a CPU has it.
    pub lock: u64,
    /// Its number, that no other ever has; 0: none is here.
    pub sequence: u64,
    /// The number of the one of its datagram that was held before it, or 0.
    pub previous: u64,
    /// Until when it is worth something: `CLOCK_MONOTONIC` nanoseconds.
    pub until_ns: u64,
    /// Bytes of the frame.
    pub len: u32,
    /// Always zero.
    pub pad: u32,
    /// The frame, link header included.
    pub frame: [u8; FRAME],
}

const _: () = assert!(size_of::<Held>() == 40 + FRAME);
plain_data!(Held);

#[cfg(test)]
mod tests;
