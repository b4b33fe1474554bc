//! What the kernel programs remember of fragments.

use anyhow::Result;
use aya::{Pod, maps::Array};
use svclb::pins::Pins;
use svclb_common::{
    address::{V4, V6},
    fragment::{Bucket, Datagram, Held, state},
};

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// Datagrams that are not complete.
    pub datagrams: usize,
    /// Fragments that wait for their first one.
    pub held: usize,
}

impl Remembered {
    /// Counts it.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn at(pins: &Pins) -> Result<Self> {
        let datagrams = datagrams::<V4>(pins, "fragments4")? + datagrams::<V6>(pins, "fragments6")?;
        let places: Array<_, Held> = pins.map("held")?;
        let mut held = 0;
        for place in places.iter() {
            held += usize::from(place?.sequence != 0);
        }
        Ok(Self { datagrams, held })
    }
}

fn datagrams<A>(pins: &Pins, map: &str) -> Result<usize>
where
    Bucket<A>: Pod,
{
    let buckets: Array<_, Bucket<A>> = pins.map(map)?;
    let mut count = 0;
    for bucket in buckets.iter() {
        count += bucket?.datagrams.iter().filter(|one| is_incomplete(one)).count();
    }
    Ok(count)
}

fn is_incomplete<A>(datagram: &Datagram<A>) -> bool {
    datagram.fate.state != state::NONE && !datagram.coverage.is_all()
}
