//! A device that the programs can send through, and what comes out of it.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;

use super::{Action, Hook, Programs};
use crate::lab::{Netns, Wire};

/// How long a frame may take from a hook to a wire.
const SOON: Duration = Duration::from_secs(5);

/// A device in a namespace of its own, with a peer. Nothing is attached to either.
#[derive(Debug)]
pub struct Cable {
    netns: Netns,
    index: u32,
    own: Wire,
    peer: Wire,
}

impl Cable {
    /// Makes a device for frames of any length.
    ///
    /// # Errors
    /// The kernel refuses something.
    pub fn new(programs: &Programs) -> Result<Self> {
        let netns = Netns::create(&programs.place.netns("device"))?;
        netns.ip("link add own mtu 65535 type veth peer name peer mtu 65535\n\
             link set own addrgenmode none up\n\
             link set peer addrgenmode none up\n")?;
        let index = netns.run(|| if_nametoindex("own").context("index of the device"))?;
        let (own, peer) = (Wire::open(&netns, "own")?, Wire::open(&netns, "peer")?);
        Ok(Self { netns, index, own, peer })
    }

    /// Runs a hook on a frame at this device; the action and the frame afterwards.
    ///
    /// # Panics
    /// If the namespace is gone.
    pub fn run(&self, programs: &Programs, hook: Hook, frame: &[u8]) -> (Action, Vec<u8>) {
        let run = || Ok(programs.run_on(hook, self.index, frame));
        self.netns.run(run).expect("the namespace is there as long as the cable")
    }

    /// The next `count` frames that a hook has sent through the device again: in, or out.
    ///
    /// # Errors
    /// There are not so many soon.
    pub fn sent_again(&self, hook: Hook, count: usize) -> Result<Vec<Vec<u8>>> {
        let wire = match hook {
            Hook::Ingress => &self.own,
            Hook::Egress => &self.peer,
        };
        let what = "a frame that is sent again";
        (0..count).map(|_| wire.receive(what, SOON, |frame| Some(frame.to_vec()))).collect()
    }
}
