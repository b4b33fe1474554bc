//! Memory of a process, and of the maps that are pinned.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result, bail};
use aya::maps::MapData;
use svclb::pins::Pins;
use svclb_common::layout;

/// Maps that hold flows, whose size is an option of the agent's.
const FLOWS: &[&str] = &["flows4", "flows6", "tuples4", "tuples6", "direct4", "direct6"];

/// Resident memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// All of it now.
    pub all: u64,
    /// What is its own: neither its program nor a library.
    pub own: u64,
    /// All of it, at most.
    pub most: u64,
}

impl Resident {
    /// Of a running process.
    ///
    /// # Errors
    /// It does not run.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let bytes = |name| match field(&text, name) {
            Some(kibibytes) => Ok(kibibytes << 10),
            None => bail!("{path}: no {name}"),
        };
        Ok(Self { all: bytes("VmRSS:")?, own: bytes("RssAnon:")?, most: bytes("VmHWM:")? })
    }
}

/// The number after a name at the beginning of a line.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find_map(|mut words| (words.next() == Some(name)).then_some(words))?;
    line.next()?.parse().ok()
}

/// Memory of all pinned maps in bytes: of those with flows, and of all others.
///
/// # Errors
/// A map is not pinned, or the kernel does not tell.
pub fn of_maps(pins: &Pins) -> Result<(u64, u64)> {
    let (mut flows, mut others) = (0, 0);
    for map in layout::map::ALL {
        let bytes = bytes_of(pins, map).with_context(|| format!("memory of map {map}"))?;
        *if FLOWS.contains(map) { &mut flows } else { &mut others } += bytes;
    }
    Ok((flows, others))
}

/// What `bpftool map` calls `memlock`.
fn bytes_of(pins: &Pins, map: &str) -> Result<u64> {
    let data = MapData::from_pin(pins.map_path(map))?;
    let path = format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let field = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    field.context("no memlock")?.trim().parse().context("memlock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(field("usage_usec 30\nuser_usec 10\n", "user_usec"), Some(10));
        assert_eq!(field("VmHWM:\t  12 kB\nVmRSS:\t  7 kB\n", "VmRSS:"), Some(7));
        assert_eq!(field("VmRSS:\t  7 kB\n", "VmSwap:"), None);
    }

    #[test]
    fn own_memory_is_known() {
        let Resident { all, own, most } = Resident::of(std::process::id()).unwrap();
        assert!(1 << 16 < own && own < all && all <= most);
    }
}
