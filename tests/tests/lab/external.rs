//! External addresses and those of load balancers: reached from everywhere, or left alone.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Dual, Family, SOON, wait_for},
    traffic::{http, peer::How, udp},
};

use crate::{
    client::{
        Asker,
        Source::{Kept, Masqueraded},
    },
    custom::{Custom, Fields, vip},
    host::asks_any,
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("external_ips_are_served", external_ips).few(),
    Scenario::per_family("load_balancer_ips_are_served", load_balancer_ips).few(),
    Scenario::per_family("load_balancers_that_are_proxies_are_left_alone", proxies).few(),
    Scenario::per_family("one_address_and_port_by_tcp_and_udp_are_two_frontends", two_frontends)
        .few(),
];

const NEAR: Custom = Custom::new("external-near", 1);
const FAR: Custom = Custom::new("external-far", 2);

/// The external addresses of [`NEAR`] and [`FAR`].
fn external() -> [Dual; 2] {
    [vip(1), vip(2)]
}

fn external_ips(world: &mut World, family: Family) -> Result<()> {
    let field = |ip: Dual| format!("externalIPs: [\"{}\", \"{}\"]", ip.v4, ip.v6);
    let fields = external().map(field);
    let near = Fields { spec: &[&fields[0]], endpoints: &["web-1"], ..Fields::default() };
    let far = Fields { spec: &[&fields[1]], endpoints: &["web-3"], ..Fields::default() };
    let _published = (NEAR.publish(world, near)?, FAR.publish(world, far)?);
    reached(world, external().map(|ip| ip.socket(family, 80)))
}

/// A status with and without the mode, beside an address that is only a name.
fn load_balancer_ips(world: &mut World, family: Family) -> Result<()> {
    let ingress = external().map(|ip| {
        [
            format!("{{ip: \"{}\"}}", ip.v4),
            "{hostname: lb.example.com}".to_owned(),
            format!("{{ip: \"{}\", ipMode: VIP}}", ip.v6),
        ]
    });
    let ingress = ingress.each_ref().map(|entries| entries.each_ref().map(String::as_str));
    let near = Fields { ingress: &ingress[0], endpoints: &["web-1"], ..Fields::default() };
    let far = Fields { ingress: &ingress[1], endpoints: &["web-3"], ..Fields::default() };
    let _published = (NEAR.publish(world, near)?, FAR.publish(world, far)?);
    reached(world, external().map(|ip| ip.socket(family, 80)))
}

/// Pods, processes of the nodes and clients outside reach the endpoint on node 1 at the first
/// address, that on node 2 at the second.
fn reached(world: &World, [near, far]: [SocketAddr; 2]) -> Result<()> {
    for pod in ["web-2", "web-4"] {
        let asker = world.asker(pod)?;
        answers(&asker, near, "web-1")?;
        answers(&asker, far, "web-3")?;
    }
    for node in &world.lab.nodes {
        asks_any(node, near, &["web-1"])?;
        asks_any(node, far, &["web-3"])?;
    }
    // The router hands packets to both addresses to node 1.
    for client in world.outsiders() {
        client.asks(near, &["web-1"], Kept)?;
        client.asks(far, &["web-3"], Masqueraded)?;
    }
    Ok(())
}

fn answers(asker: &Asker<'_>, dst: SocketAddr, name: &str) -> Result<()> {
    let told = asker.netns.run(|| Ok([http::who(dst)?.name, udp::who(dst)?]));
    let told = told.with_context(|| format!("{} asks {dst}", asker.name))?;
    ensure!(told == [name, name], "{} asks {dst}: {told:?} answered", asker.name);
    Ok(())
}

/// A load balancer that is a proxy wants to be asked itself, by pods and the nodes' processes too:
/// here it listens on node 2.
fn proxies(world: &mut World, family: Family) -> Result<()> {
    let proxy = world.lab.node(2);
    let ingress = Family::BOTH.map(|f| format!("{{ip: \"{}\", ipMode: Proxy}}", proxy.ip.ip(f)));
    let ingress = ingress.each_ref().map(String::as_str);
    let fields = Fields { ingress: &ingress, endpoints: &["web-1"], ..Fields::default() };
    let _published = NEAR.publish(world, fields)?;
    let dst = proxy.ip.socket(family, 80);
    let listener = proxy.netns().run(|| TcpListener::bind(dst).context("listen"))?;
    let (pod, node) = (world.asker("web-2")?, world.lab.node(1));
    asked_itself(&listener, || {
        pod.netns.run(|| TcpStream::connect_timeout(&dst, SOON).context("connect"))
    })?;
    let client = asked_itself(&listener, || {
        // It is no lab server: the connection ends without an answer.
        node.ask(How::Tcp, &[dst]).err().context("an answer")
    })?;
    ensure!(client == node.ip.ip(family), "the proxy was asked by {client}");
    Ok(())
}

/// Who has asked the listener when `ask` is done.
fn asked_itself<T: Send>(
    listener: &TcpListener,
    ask: impl FnOnce() -> Result<T> + Send,
) -> Result<IpAddr> {
    listener.set_nonblocking(true)?;
    thread::scope(|scope| {
        let asking = scope.spawn(ask);
        // (Dropped at once: whoever waits for an answer sees the end of the connection.)
        let accepted = || listener.accept().ok().map(|(_, client)| client.ip());
        let client = wait_for("a connection at the load balancer itself", SOON, accepted);
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        client
    })
}

/// Two Services share an external address and a port's number.
fn two_frontends(world: &mut World, family: Family) -> Result<()> {
    let ip = vip(3);
    let spec = [&*format!("externalIPs: [\"{}\", \"{}\"]", ip.v4, ip.v6)];
    let by_tcp =
        Fields { spec: &spec, protocols: &["TCP"], endpoints: &["web-1"], ..Fields::default() };
    let by_udp = Fields { protocols: &["UDP"], endpoints: &["web-3"], ..by_tcp };
    let _published = (NEAR.publish(world, by_tcp)?, FAR.publish(world, by_udp)?);
    let dst = ip.socket(family, 80);
    for asker in [world.asker("web-2")?, world.outsiders()[0]] {
        let told = asker.netns.run(|| Ok([http::who(dst)?.name, udp::who(dst)?]))?;
        ensure!(told == ["web-1", "web-3"], "{told:?} answered TCP and UDP");
    }
    for how in How::ALL {
        let told = world.lab.node(1).ask(how, &[dst])?;
        let expected = if how == How::Tcp { "web-1" } else { "web-3" };
        ensure!(told[0].name == expected, "{} answered {}", told[0].name, how.name());
    }
    Ok(())
}
