//! One hash for everything the packet path spreads: slots, flow records, probe words.

use crate::{address::Address, tuple::Tuple};

// Odd constants with well-mixed bits: the fractional parts of the golden ratio and of sqrt(2).
const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0x6A09_E667_F3BC_C909;

/// Folds one 64-bit word into a running hash: two multiplications, so that a client's consecutive
/// ports (which differ in few bits) reach all bits of the result. A product carries upwards only,
/// so the upper half is brought down before each.
#[inline(always)]
pub fn mix(state: u64, word: u64) -> u64 {
    let mut x = state ^ word;
    x ^= x >> 32;
    x = x.wrapping_mul(A | 1);
    x ^= x >> 32;
    x = x.wrapping_mul(B | 1);
    x ^ (x >> 29)
}

/// The hash of an address under `seed`.
#[inline(always)]
pub fn address<T: Address>(seed: u64, address: &T) -> u64 {
    if T::IS_V6 {
        let high = (u64::from(address.word(0)) << 32) | u64::from(address.word(1));
        let low = (u64::from(address.word(2)) << 32) | u64::from(address.word(3));
        mix(mix(seed, high), low)
    } else {
        mix(seed, u64::from(address.word(0)))
    }
}

/// The hash of a flow by which its backend is chosen: the same for every packet of the flow.
#[inline(always)]
pub fn flow<T: Address>(seed: u64, tuple: &Tuple<T>) -> u32 {
    let ports =
        (u64::from(tuple.sport) << 32) | (u64::from(tuple.dport) << 16) | u64::from(tuple.protocol);
    let state = address(address(seed, &tuple.src), &tuple.dst);
    (mix(state, ports) >> 32) as u32
}

/// The hash by which an unconnected socket's datagrams to one address and port find their backend:
/// the same one as long as the service's endpoints stay the same.
#[inline(always)]
pub fn socket<T: Address>(seed: u64, cookie: u64, dst: &T, port: u16) -> u32 {
    (mix(mix(address(seed, dst), u64::from(port)), cookie) >> 32) as u32
}

/// Maps a hash onto `0..n` by a multiplication instead of a division; 0 when `n` is 0.
#[inline(always)]
pub fn scale(hash: u32, n: u32) -> u32 {
    ((u64::from(hash) * u64::from(n)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::V4, tuple::TCP};

    const CLIENT: V4 = V4 { ip: [10, 0, 0, 1] };
    const FRONTEND: V4 = V4 { ip: [10, 96, 0, 1] };

    /// Pearson's statistic over 4 bins of 10,000 hashes, under many seeds; a fair choice exceeds
    /// 30.66 once in a million times at 3 degrees of freedom.
    fn assert_fair(what: &str, hash: impl Fn(u64, u16) -> u32) {
        for seed in (0..200_u64).map(|i| mix(7, i) >> 32) {
            let mut bins = [0_f64; 4];
            for i in 0..10_000 {
                bins[scale(hash(seed, i), 4) as usize] += 1.0;
            }
            let chi2: f64 = bins.iter().map(|n| (n - 2500.0) * (n - 2500.0) / 2500.0).sum();
            assert!(chi2 < 30.66, "{what}: chi-square {chi2} under seed {seed}");
        }
    }

    #[test]
    fn consecutive_client_ports_spread_fairly() {
        for step in [1, 2] {
            assert_fair("ports", |seed, i| {
                let sport = 32_768_u16.wrapping_add(i * step);
                flow(seed, &Tuple::received(TCP, CLIENT, sport, FRONTEND, 80))
            });
        }
    }

    #[test]
    fn consecutive_sockets_spread_fairly() {
        // The kernel numbers sockets in batches of 4096 a CPU.
        for step in [1, 4_096] {
            let cookie = |i: u16| 4_096 + u64::from(i) * step;
            assert_fair("sockets", |seed, i| socket(seed, cookie(i), &FRONTEND, 80));
        }
    }

    #[test]
    fn scaling_stays_in_range() {
        assert_eq!(scale(u32::MAX, 3), 2);
        assert_eq!(scale(0, 3), 0);
        assert_eq!(scale(u32::MAX, 0), 0);
    }
}
