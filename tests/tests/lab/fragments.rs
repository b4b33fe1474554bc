//! Datagrams that no link takes in one piece, over a network that keeps no order.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use svclb::pins::Pins;
use svclb_tests::{
    lab::{Damage, Family, Netns, address::external_router},
    remembered::Remembered,
    traffic::udp,
};

use crate::{client::Asker, scenario::Scenario, services::FAR, world::World};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("fragments_in_any_order_are_put_together", any_order).few(),
    Scenario::per_family("fragments_that_are_lost_do_no_harm", losses).few(),
];

/// Bytes of questions and answers: a few fragments, and as many as a datagram can have.
const SIZES: [usize; 2] = [4_000, 60_000];
/// How often each is asked.
const ROUNDS: usize = 10;

/// Who asks what: a pod the ClusterIP of a remote endpoint, a client outside a NodePort of one,
/// which is masqueraded.
fn ways(world: &World, family: Family) -> Result<[(Asker<'_>, SocketAddr); 2]> {
    let [external, _] = world.outsiders();
    let node = world.lab.node(1);
    Ok([(world.asker("web-1")?, FAR.cluster(family)), (external, FAR.at(node, family))])
}

/// Asks from one socket; how many questions were answered, each answer checked byte for byte.
fn ask(asker: &Asker<'_>, dst: SocketAddr, patience: Duration) -> Result<usize> {
    asker.netns.run(|| {
        let mut client = udp::Client::new(dst, None)?.waiting(patience);
        let mut answered = 0;
        for size in SIZES.repeat(ROUNDS) {
            match client.ask(size) {
                Ok(name) => {
                    ensure!(FAR.endpoints.contains(&&*name), "{name} answered");
                    answered += 1;
                }
                Err(error) if error.to_string().starts_with("no UDP answer") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answered)
    })
}

/// What a client outside sends to a node, in pieces that every link behind it takes, until the
/// value is dropped.
struct Narrow<'a> {
    client: &'a Netns,
    route: String,
}

impl<'a> Narrow<'a> {
    fn new(client: &'a Netns, dst: IpAddr, family: Family) -> Result<Self> {
        let via = external_router().ip(family);
        let narrow = Self { client, route: format!("{dst} via {via} mtu 1400") };
        narrow.set("add")?;
        Ok(narrow)
    }

    fn set(&self, verb: &str) -> Result<()> {
        self.client.ip(format!("route {verb} {}", self.route))
    }
}

impl Drop for Narrow<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set("del") {
            eprintln!("a client keeps its route: {error:#}");
        }
    }
}

/// Every question is answered.
fn ask_all(world: &World, family: Family) -> Result<()> {
    for (asker, dst) in ways(world, family)? {
        let answered = ask(&asker, dst, udp::PATIENCE)
            .with_context(|| format!("{} asks {dst}", asker.name))?;
        let asked = SIZES.len() * ROUNDS;
        ensure!(answered == asked, "{} asks {dst}: {answered} of {asked} answered", asker.name);
    }
    Ok(())
}

/// What each node remembers of fragments.
fn remembered(world: &World) -> Result<Vec<Remembered>> {
    world.lab.nodes.iter().map(|node| Remembered::at(&Pins::on(node.bpffs())?)).collect()
}

fn held(world: &World) -> Result<u64> {
    world.lab.nodes.iter().map(|node| node.outcome("fragment_held")).sum()
}

fn any_order(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1).ip.ip(family);
    let _narrow = Narrow::new(world.lab.external().netns(), node, family)?;
    ask_all(world, family).context("in order")?;
    let before = (remembered(world)?, held(world)?);
    let mangler = world.lab.mangle(1)?;
    ask_all(world, family).context("mixed")?;
    let after = (remembered(world)?, held(world)?);
    let more = |(old, new): (&Remembered, &Remembered)| {
        new.datagrams > old.datagrams || new.held > old.held
    };
    let left = before.0.iter().zip(&after.0).any(more);
    ensure!(!left, "left behind: before {:?}, after {:?}", before.0, after.0);
    ensure!(after.1 > before.1, "none came before its first one");
    mangler.damage(Damage { doubled: 50, lost: 0 });
    ask_all(world, family).context("mixed, and some twice")
}

fn losses(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(1).ip.ip(family);
    let _narrow = Narrow::new(world.lab.external().netns(), node, family)?;
    let mangler = world.lab.mangle(1)?;
    mangler.damage(Damage { doubled: 10, lost: 10 });
    let mut answered = 0;
    for (asker, dst) in ways(world, family)? {
        answered += ask(&asker, dst, Duration::from_millis(300))
            .with_context(|| format!("{} asks {dst}", asker.name))?;
    }
    ensure!(answered != 0, "nobody was answered");
    mangler.damage(Damage::default());
    ask_all(world, family).context("after the losses")
}
