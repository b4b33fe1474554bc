//! Source ranges: who may ask a load balancer's address, and that nobody else's packet gets
//! anywhere.

use anyhow::{Context, Result, ensure};
use svclb_tests::lab::{Dual, Family};

use crate::{
    client::Source::Kept,
    custom::{Custom, Fields, balancer},
    expect::{answering_process, drops, hangs, host_hangs, names, process_hangs},
    host::asks_any,
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("source_ranges_admit_and_drop_clients_outside", outside).few(),
    Scenario::per_family("source_ranges_hold_inside_the_cluster", inside).few(),
    Scenario::per_family("source_ranges_hold_at_pods_sockets", at_pods_sockets).few(),
    Scenario::per_family("source_ranges_are_followed_as_they_change", changes).few(),
];

const SERVICE: Custom = Custom::new("ranges", 20);

/// The ranges of these addresses, as a field of `spec`.
fn only(addresses: &[Dual]) -> String {
    let ranges = addresses.iter().map(|ip| format!("\"{}/32\", \" {}/128 \"", ip.v4, ip.v6));
    format!("loadBalancerSourceRanges: [{}]", ranges.collect::<Vec<_>>().join(", "))
}

fn outside(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(4);
    let ingress = ingress.each_ref().map(String::as_str);
    let spec = only(&[world.lab.on_lan().ip]);
    let fields =
        Fields { spec: &[&spec], ingress: &ingress, endpoints: &["web-1"], ..Fields::default() };
    let _published = SERVICE.publish(world, fields)?;
    let [external, on_lan] = world.outsiders();
    let (dst, node) = (vip.socket(family, 80), world.lab.node(1));
    on_lan.asks(dst, &["web-1"], Kept)?;
    let opened = node.outcome("flow_opened")?;
    drops(node, "source_range", || hangs(external.netns, dst))?;
    ensure!(node.outcome("flow_opened")? == opened, "a flow of a client that may not ask");
    // Nothing but the load balancer's address is guarded.
    external.asks(SERVICE.at(node, family), &["web-1"], Kept)?;
    world.asker("web-2")?.asks(SERVICE.cluster(family), &["web-1"], Kept)
}

fn inside(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(4);
    let ingress = ingress.each_ref().map(String::as_str);
    let (node, pod) = (world.lab.node(1), world.asker("web-2")?);
    let publish = |spec: &str| {
        let spec = &[spec];
        SERVICE.publish(
            world,
            Fields { spec, ingress: &ingress, endpoints: &["web-1"], ..Fields::default() },
        )
    };
    let dst = vip.socket(family, 80);
    {
        let _published = publish(&only(&[world.lab.on_lan().ip]))?;
        drops(node, "source_range", || hangs(pod.netns, dst)).context("pod")?;
        drops(node, "source_range", || host_hangs(node, dst)).context("host")?;
        asks_any(node, SERVICE.cluster(family), &["web-1"])?;
    }
    let _published = publish(&only(&[pod.ip, node.ip]))?;
    pod.asks(dst, &["web-1"], Kept)?;
    asks_any(node, dst, &["web-1"])?;
    drops(node, "source_range", || hangs(world.asker("web-1")?.netns, dst)).context("other pod")
}

/// Where sockets of pods are translated, too, their packets decide.
fn at_pods_sockets(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--socket-hooks", "all"])?;
    let held = held_at_pods_sockets(world, family);
    world.restart_agent(1, &[])?;
    held
}

fn held_at_pods_sockets(world: &World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(4);
    let ingress = ingress.each_ref().map(String::as_str);
    let (node, may, may_not) = (world.lab.node(1), world.asker("web-1")?, world.asker("web-2")?);
    let spec = only(&[may.ip]);
    let fields =
        Fields { spec: &[&spec], ingress: &ingress, endpoints: &["web-3"], ..Fields::default() };
    let _published = SERVICE.publish(world, fields)?;
    let dst = vip.socket(family, 80);
    let answered = answering_process(node, may.netns, dst)?;
    ensure!(answered == names(["web-3"]), "{answered:?} answered");
    drops(node, "source_range", || process_hangs(node, may_not.netns, dst))
}

fn changes(world: &mut World, family: Family) -> Result<()> {
    let (vip, ingress) = balancer(4);
    let ingress = ingress.each_ref().map(String::as_str);
    let fields = Fields { ingress: &ingress, endpoints: &["web-1"], ..Fields::default() };
    let _published = SERVICE.publish(world, fields)?;
    let [external, on_lan] = world.outsiders();
    let dst = vip.socket(family, 80);
    external.asks(dst, &["web-1"], Kept)?;
    for (may, may_not) in [(external, on_lan), (on_lan, external)] {
        SERVICE.change(world, Fields { spec: &[&only(&[may.ip])], ..fields })?;
        may.asks(dst, &["web-1"], Kept)?;
        hangs(may_not.netns, dst)?;
    }
    SERVICE.change(world, fields)?;
    external.asks(dst, &["web-1"], Kept)
}
