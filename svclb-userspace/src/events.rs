//! Follows the ring buffer `events`, and tells each event as a log line at debug level.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use anyhow::{Context, Result};
use aya::maps::{MapData, RingBuf};
use svclb_common::{event::Event, outcome::Outcome};
use tokio::io::{Interest, unix::AsyncFd};
use tracing::debug;

use crate::pins::Pins;

/// Reads events for as long as it is polled.
///
/// # Errors
///
/// Returns only if the map is not pinned or cannot be waited for.
pub async fn follow(pins: &Pins) -> Result<()> {
    let mut ring: RingBuf<MapData> = pins.map("events")?;
    let readiness = readiness(&ring).context("map events")?;
    loop {
        let mut ready = readiness.readable().await.context("map events")?;
        ready.clear_ready();
        while let Some(item) = ring.next() {
            if let Some(event) = decode(&item) {
                tell(&event);
            }
        }
    }
}

/// Tells when a ring buffer has something to read. To be called within a tokio runtime.
pub(crate) fn readiness(ring: &impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = ring.as_fd().try_clone_to_owned()?;
    // SAFETY: the result owns the descriptor, which stays open and the same until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// An event as the kernel programs wrote it; `None` if it has another size.
fn decode(bytes: &[u8]) -> Option<Event> {
    if bytes.len() != size_of::<Event>() {
        return None;
    }
    // SAFETY: an `Event` is plain data of which every bit pattern is a value, there are as many
    // bytes as it has, and the read needs no alignment.
    Some(unsafe { bytes.as_ptr().cast::<Event>().read_unaligned() })
}

fn tell(event: &Event) {
    let (src, dst) = event.ends();
    let outcome = Outcome::ALL.get(event.outcome as usize).map_or("unknown", |o| o.name());
    debug!(
        outcome,
        %src,
        %dst,
        protocol = event.protocol,
        ifindex = event.ifindex,
        "event"
    );
}

#[cfg(test)]
mod tests {
    use svclb_common::{
        address::V4,
        tuple::{TCP, Tuple},
    };

    use super::*;

    #[test]
    fn events_are_read_byte_by_byte() {
        let (src, dst) = (V4 { ip: [192, 0, 2, 1] }, V4 { ip: [192, 0, 2, 2] });
        let event = Event::new(3, 7, 9, &Tuple::received(TCP, src, 1, dst, 2));
        // SAFETY: plain data without padding.
        let bytes: [u8; size_of::<Event>()] = unsafe { std::mem::transmute(event) };
        let read = decode(&bytes).expect("the right size");
        assert_eq!((read.outcome, read.at_ns, read.ifindex, read.protocol), (3, 7, 9, TCP));
        assert_eq!(read.ends(), event.ends());
        assert!(decode(&bytes[1..]).is_none());
    }
}
