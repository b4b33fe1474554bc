//! Whether memory stays as it is.

/// What grows by less is flat: a page here and there, and a heap that settles.
const NOISE: u64 = 2 << 20;

/// Resident memory of a process over a run, in bytes, a sample a second.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Samples(pub(super) Vec<u64>);

/// How memory was at first, and how it was at last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Growth {
    /// The mean of the second fifth of the samples: after everything was used once.
    pub(super) early: u64,
    /// The mean of the last fifth.
    pub(super) late: u64,
}

impl Samples {
    /// How it has grown; `None` of fewer than five samples.
    pub(super) fn growth(&self) -> Option<Growth> {
        let fifth = self.0.len() / 5;
        let mean = |samples: &[u64]| samples.iter().sum::<u64>().checked_div(samples.len() as u64);
        let (early, late) = (&self.0[fifth..2 * fifth], &self.0[self.0.len() - fifth..]);
        Some(Growth { early: mean(early)?, late: mean(late)? })
    }
}

impl Growth {
    /// Whether it has not grown: by less than a twentieth, or than what is noise.
    pub(super) fn is_flat(self) -> bool {
        self.late <= self.early + (self.early / 20).max(NOISE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(samples: impl Iterator<Item = u64>) -> Growth {
        Samples(samples.map(|mebibytes| mebibytes << 20).collect()).growth().expect("enough")
    }

    #[test]
    fn a_leak_is_told_from_a_start() {
        // It fills its caches, and stays there.
        assert!(growth((0..100).map(|second| 30 + second.min(20))).is_flat());
        // A mebibyte every ten seconds.
        assert!(!growth((0..100).map(|second| 50 + second / 10)).is_flat());
        assert!(growth((0..100).map(|second| 50 + second % 3)).is_flat());
    }

    #[test]
    fn few_samples_say_nothing() {
        assert_eq!(Samples(vec![1; 4]).growth(), None);
        assert_eq!(Samples(vec![7; 5]).growth(), Some(Growth { early: 7, late: 7 }));
    }
}
