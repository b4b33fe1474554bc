//! Who asks in a scenario, and what must come of it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Dual, Family, Netns},
    traffic::{http, udp},
};

use crate::world::World;

/// Somebody who asks: a namespace with an address of each family.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) name: &'a str,
    pub(crate) netns: &'a Netns,
    pub(crate) ip: Dual,
}

impl World {
    /// A pod as a client.
    pub(crate) fn asker<'a>(&'a self, pod: &'a str) -> Result<Asker<'a>> {
        let found = self.pod(pod)?;
        Ok(Asker { name: pod, netns: found.netns()?, ip: found.ip })
    }

    /// The clients outside the cluster.
    pub(crate) fn outsiders(&self) -> [Asker<'_>; 2] {
        [("external client", self.lab.external()), ("client on the LAN", self.lab.on_lan())]
            .map(|(name, client)| Asker { name, netns: client.netns(), ip: client.ip })
    }
}

/// Whether the pod sees the client's own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Kept,
    Masqueraded,
}

impl Asker<'_> {
    /// Asks `dst` over HTTP and UDP. One of `expected` must answer, and see the client as said.
    pub(crate) fn asks(&self, dst: SocketAddr, expected: &[&str], source: Source) -> Result<()> {
        let what = || format!("{} asks {dst}", self.name);
        let (answer, echo) =
            self.netns.run(|| Ok((http::who(dst)?, udp::who(dst)?))).with_context(what)?;
        for name in [&answer.name, &echo] {
            ensure!(expected.contains(&&**name), "{}: {name} answered", what());
        }
        let own = self.own(dst);
        let kept = answer.client.ip() == own;
        ensure!(
            kept == (source == Source::Kept),
            "{}: {} saw {} ({source:?} expected)",
            what(),
            answer.name,
            answer.client
        );
        Ok(())
    }

    /// Its own address of the family of `dst`.
    pub(crate) fn own(&self, dst: SocketAddr) -> IpAddr {
        self.ip.ip(if dst.is_ipv4() { Family::V4 } else { Family::V6 })
    }

    /// Its own address with a port that nobody in this run has used.
    pub(crate) fn fresh_source(&self, dst: SocketAddr) -> SocketAddr {
        static NEXT: AtomicU16 = AtomicU16::new(20_000);
        (self.own(dst), NEXT.fetch_add(1, Ordering::Relaxed)).into()
    }
}
