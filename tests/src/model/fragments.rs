//! Datagrams in fragments: only the first one has ports, and the others share its fate.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use super::{Chooser, Dropped, Model, Note, Place, Verdict};

/// A fragment's place in its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The sender's number of the datagram.
    pub id: u32,
    /// Of which protocol that number is; none where all share the numbers.
    pub protocol: Option<u8>,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How many bytes it carries.
    pub len: usize,
    /// Whether others follow.
    pub more: bool,
}

impl Part {
    /// Whether nothing contradicts itself.
    pub(super) fn is_sound(&self) -> bool {
        let whole_units = self.len.is_multiple_of(8) || !self.more;
        self.len > 0 && whole_units && self.offset + self.len <= 65_535
    }
}

/// What fragments of one datagram have in common at one hook.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Datagram {
    place: Place,
    ends: (IpAddr, IpAddr),
    id: u32,
    protocol: Option<u8>,
}

impl Datagram {
    pub(super) fn new(place: Place, ends: (IpAddr, IpAddr), part: &Part) -> Self {
        Self { place, ends, id: part.id, protocol: part.protocol }
    }
}

/// What became of a first fragment.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It went on, between these addresses.
    Sent(IpAddr, IpAddr),
    /// It was dropped or refused.
    Dropped,
}

/// How many fragments wait at most, of all datagrams.
const ROOM: u64 = 512;
/// How many of one datagram its first one finds.
const FOUND: usize = 128;

/// What is remembered of fragments.
#[derive(Default, Debug)]
pub(super) struct Fragments {
    fates: HashMap<Datagram, Fate>,
    /// The numbers of those that wait for a first one, in their order.
    waiting: HashMap<Datagram, Vec<u64>>,
    /// The numbers of all that wait.
    held: HashSet<u64>,
    /// How many have waited.
    last: u64,
}

impl Model {
    /// A first fragment had this verdict.
    pub(super) fn lead(&mut self, datagram: Datagram, verdict: &Verdict) {
        let (src, dst) = datagram.ends;
        let fate = match verdict {
            Verdict::Dropped(_) | Verdict::Rejected(_) => Fate::Dropped,
            _ => verdict
                .rewritten()
                .map_or(Fate::Sent(src, dst), |to| Fate::Sent(to.src.ip(), to.dst.ip())),
        };
        let waited = self.fragments.waiting.remove(&datagram).unwrap_or_default();
        // Who was held first had to make room first.
        for number in waited.into_iter().rev().take(FOUND) {
            if !self.fragments.held.remove(&number) {
                break;
            }
            if matches!(fate, Fate::Dropped) {
                self.notes.push(Note::WaitedInVain);
            }
        }
        self.fragments.fates.insert(datagram, fate);
    }

    /// A later fragment.
    pub(super) fn follow(&mut self, datagram: Datagram, chooser: &mut dyn Chooser) -> Verdict {
        match self.fragments.fates.get(&datagram) {
            Some(_) if chooser.is_forgotten() => {}
            Some(Fate::Sent(src, dst)) if (*src, *dst) == datagram.ends => {
                return Verdict::Untouched;
            }
            Some(Fate::Sent(src, dst)) => return Verdict::Followed(*src, *dst),
            Some(Fate::Dropped) => return Verdict::Dropped(Dropped::WithFirst),
            None => {}
        }
        self.fragments.fates.remove(&datagram);
        self.hold(datagram);
        Verdict::Held
    }

    fn hold(&mut self, datagram: Datagram) {
        let fragments = &mut self.fragments;
        fragments.last += 1;
        let number = fragments.last;
        if number > ROOM && fragments.held.remove(&(number - ROOM)) {
            self.notes.push(Note::GivenUp);
        }
        fragments.held.insert(number);
        fragments.waiting.entry(datagram).or_default().push(number);
    }
}
