//! The map `addr_filter`: which addresses may concern svclb, and who still needs each bit.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use anyhow::{Context, Result};
use aya::maps::{Array, MapData};
use svclb_common::{
    address::{V4, V6},
    filter::{self, Interest},
};

use super::WriteError;
use crate::pins::Pins;

const MAP: &str = "addr_filter";

/// Where the bit of an address and an interest is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Bit {
    word: u32,
    mask: u64,
}

impl Bit {
    fn of(ip: IpAddr, interest: Interest) -> Self {
        let (word, mask) = match ip {
            IpAddr::V4(ip) => filter::place(&V4::from(ip), interest),
            IpAddr::V6(ip) => filter::place(&V6::from(ip), interest),
        };
        Self { word, mask }
    }

    /// The bits of an address, whatever it is.
    fn all(ip: IpAddr) -> [Self; 2] {
        [Interest::Frontend, Interest::Backend].map(|interest| Self::of(ip, interest))
    }
}

/// The addresses that need each bit. Pure.
#[derive(Debug, Default)]
struct Users(HashMap<Bit, Vec<IpAddr>>);

impl Users {
    /// Adds an address; whether the bit has to be set now.
    fn add(&mut self, bit: Bit, ip: IpAddr) -> bool {
        let users = self.0.entry(bit).or_default();
        if users.contains(&ip) {
            return false;
        }
        users.push(ip);
        users.len() == 1
    }

    /// Removes an address; whether the bit has to be cleared now.
    fn remove(&mut self, bit: Bit, ip: IpAddr) -> bool {
        let Some(users) = self.0.get_mut(&bit) else { return false };
        users.retain(|user| *user != ip);
        if !users.is_empty() {
            return false;
        }
        self.0.remove(&bit);
        true
    }

    /// The bits that have users.
    fn bits(&self) -> impl Iterator<Item = Bit> {
        self.0.keys().copied()
    }
}

/// The words in which `bits` are set.
fn words(bits: impl Iterator<Item = Bit>) -> HashMap<u32, u64> {
    let mut words = HashMap::new();
    for bit in bits {
        *words.entry(bit.word).or_default() |= bit.mask;
    }
    words
}

/// The map and its users. The agent alone writes the map, so its words are kept here.
pub(super) struct Probe {
    map: Array<MapData, u64>,
    words: Vec<u64>,
    users: Users,
}

impl Probe {
    /// Opens the map. Bits that an earlier agent has set stay until [`Self::forget_unwatched`].
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        let map: Array<MapData, u64> = pins.map(MAP)?;
        let words: Result<Vec<u64>, _> = map.iter().collect();
        let words = words.with_context(|| format!("read map {MAP}"))?;
        Ok(Self { map, words, users: Users::default() })
    }

    /// Sets the bit of an address; false if it is set already.
    pub(super) fn set(&mut self, ip: IpAddr, interest: Interest) -> Result<bool, WriteError> {
        let bit = Bit::of(ip, interest);
        if !self.users.add(bit, ip) {
            return Ok(false);
        }
        let written = self.write(bit.word, self.word(bit.word) | bit.mask);
        if written.is_err() {
            // Asked again, it is to be written again.
            self.users.remove(bit, ip);
        }
        written
    }

    /// Clears the bit of an address; false if another one needs it, or it is clear already.
    pub(super) fn clear(&mut self, ip: IpAddr, interest: Interest) -> Result<bool, WriteError> {
        let bit = Bit::of(ip, interest);
        if !self.users.remove(bit, ip) {
            return Ok(false);
        }
        let written = self.write(bit.word, self.word(bit.word) & !bit.mask);
        if written.is_err() {
            self.users.add(bit, ip);
        }
        written
    }

    /// Clears all bits but those of watched addresses and of `keep`.
    pub(super) fn forget_unwatched(&mut self, keep: &HashSet<IpAddr>) -> Result<(), WriteError> {
        let used = words(self.users.bits().chain(keep.iter().flat_map(|ip| Bit::all(*ip))));
        for word in 0..self.map.len() {
            let kept = used.get(&word).copied().unwrap_or_default();
            self.write(word, self.word(word) & kept)?;
        }
        Ok(())
    }

    fn word(&self, word: u32) -> u64 {
        self.words.get(word as usize).copied().unwrap_or_default()
    }

    fn write(&mut self, word: u32, bits: u64) -> Result<bool, WriteError> {
        if self.word(word) == bits {
            return Ok(false);
        }
        self.map.set(word, bits, 0).map_err(|error| WriteError::new(MAP, error))?;
        if let Some(known) = self.words.get_mut(word as usize) {
            *known = bits;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    fn bit(last: u16) -> Bit {
        Bit::of(ip(last), Interest::Frontend)
    }

    #[test]
    fn a_bit_is_set_and_cleared_once_however_often_it_is_asked() {
        let mut users = Users::default();
        assert!(users.add(bit(1), ip(1)));
        assert!(!users.add(bit(1), ip(1)));
        assert!(users.remove(bit(1), ip(1)));
        assert!(!users.remove(bit(1), ip(1)));
        assert_eq!(users.bits().count(), 0);
    }

    #[test]
    fn an_address_that_shares_a_bit_keeps_it_set() {
        let mut first = HashMap::new();
        let collision = (0..=u16::MAX).find_map(|n| Some((first.insert(bit(n), n)?, n)));
        let (a, b) = collision.expect("65536 addresses on 2^19 bits");
        let shared = bit(a);
        let mut users = Users::default();
        assert!(users.add(shared, ip(a)));
        assert!(!users.add(shared, ip(b)));
        assert!(!users.remove(shared, ip(a)));
        assert_eq!(words(users.bits()), HashMap::from([(shared.word, shared.mask)]));
        assert!(users.remove(shared, ip(b)));
    }
}
