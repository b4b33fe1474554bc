//! Services of one family only: served in it, and nowhere in the other.

use anyhow::{Context, Result, ensure};
use svclb_tests::{lab::Family, traffic::peer::How};

use crate::{
    client::Source::{Kept, Masqueraded},
    custom::{Custom, Fields, balancer},
    host::asks_any,
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario::per_family("services_of_one_family", one_family).few()];

const SERVICE: Custom = Custom::new("one-family", 30);

fn one_family(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(5);
    // An entry of the other family leads nowhere, and takes nothing else with it.
    let ingress = ingress.each_ref().map(String::as_str);
    let fields = Fields {
        families: &[family],
        ingress: &ingress,
        endpoints: &["web-3"],
        ..Fields::default()
    };
    let _published = SERVICE.publish(world, fields)?;
    let node = world.lab.node(1);
    world.asker("web-2")?.asks(SERVICE.cluster(family), &["web-3"], Kept)?;
    asks_any(node, SERVICE.cluster(family), &["web-3"])?;
    for dst in [SERVICE.at(node, family), vip.socket(family, 80)] {
        world.outsiders()[0].asks(dst, &["web-3"], Masqueraded)?;
        asks_any(node, dst, &["web-3"])?;
    }
    let other = Family::BOTH.into_iter().find(|other| *other != family).context("two families")?;
    // Nobody listens there, as the node itself says.
    let asked =
        node.ask(How::Tcp, &[SERVICE.at(node, other)]).map_err(|error| format!("{error:#}"));
    let told = asked.err().context("somebody answers at the other family's NodePort")?;
    ensure!(told.contains("Connection refused"), "{told}");
    Ok(())
}
