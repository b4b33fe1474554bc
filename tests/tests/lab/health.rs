//! What load balancers outside are told at the health-check node ports of Services.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, Netns, Node, SOON, wait_for},
    traffic::http,
};

use crate::{
    custom::{Custom, Fields, Published},
    node_ports::{Lent, loopback},
    scenario::Scenario,
    world::World,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("health_check_port_follows_local_endpoints", follows_endpoints).few(),
    Scenario::per_family("health_check_port_listens_in_both_families", both_families).few(),
    Scenario::per_family("health_check_port_moves_and_goes", moves).few(),
    Scenario::per_family("health_check_port_that_is_taken_is_tried_again", taken).few(),
    Scenario::per_family("health_check_port_follows_the_nodes_addresses", addresses).few(),
    Scenario::once("services_without_local_endpoints_are_counted", counted).few(),
];

const SERVICE: Custom = Custom::new("checked", 60);

/// The first of the ports that are asked for.
const FIRST: u16 = 30_600;

impl World {
    /// Publishes the Service with this health-check node port and these endpoints.
    fn publish_checked(&self, port: u16, endpoints: &[&str]) -> Result<Published> {
        let published = SERVICE.publish(self, fields(&[]))?;
        self.change_checked(port, endpoints)?;
        Ok(published)
    }

    fn change_checked(&self, port: u16, endpoints: &[&str]) -> Result<()> {
        let port = format!("healthCheckNodePort: {port}");
        let spec = ["externalTrafficPolicy: Local", &port];
        SERVICE.change(self, Fields { spec: &spec, ..fields(endpoints) })
    }

    /// Waits until a load balancer behind the router hears from a node what it should.
    fn hears(&self, node: u8, (family, port): (Family, u16), ready: usize) -> Result<()> {
        let server = self.lab.node(node).ip.socket(family, port);
        hears(self.lab.external().netns(), server, ready)
    }

    fn hears_nothing(&self, node: u8, (family, port): (Family, u16)) -> Result<()> {
        let server = self.lab.node(node).ip.socket(family, port);
        is_closed(self.lab.external().netns(), server)
    }
}

fn fields<'a>(endpoints: &'a [&'a str]) -> Fields<'a> {
    Fields { endpoints, ..Fields::default() }
}

/// Waits until somebody in `netns` is told of that many ready endpoints.
fn hears(netns: &Netns, server: SocketAddr, ready: usize) -> Result<()> {
    let status = if ready == 0 { 503 } else { 200 };
    let body = format!(
        "{{\"service\":{{\"namespace\":\"default\",\"name\":\"{}\"}},\
         \"localEndpoints\":{ready},\"serviceProxyHealthy\":true}}",
        SERVICE.name
    );
    let (mut last, what) = (None, format!("{server} to tell of {ready} endpoints"));
    let heard = wait_for(&what, SOON, || {
        let reply = netns.get(server, "/");
        let right = reply.as_ref().is_ok_and(|now| now.status == status && now.body == body);
        last = Some(reply);
        right.then_some(())
    });
    heard.with_context(|| format!("at last {last:?}"))?;
    let head = last.context("asked")??.head;
    let weight = format!("x-load-balancing-endpoint-weight: {ready}");
    for header in ["content-type: application/json", "x-content-type-options: nosniff", &weight] {
        ensure!(head.lines().any(|line| line == header), "no {header} in {head}");
    }
    Ok(())
}

/// Waits until somebody in `netns` is refused by the node's own kernel.
fn is_closed(netns: &Netns, server: SocketAddr) -> Result<()> {
    wait_for(&format!("{server} to be closed"), SOON, || {
        let asked = netns.run(|| Ok(TcpStream::connect_timeout(&server, SOON).map(drop)));
        let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
        asked.is_ok_and(|asked| asked.is_err_and(refused)).then_some(())
    })
}

fn follows_endpoints(world: &mut World, family: Family) -> Result<()> {
    let (port, at) = (FIRST, (family, FIRST));
    let _published = world.publish_checked(port, &[])?;
    for endpoints in [&[][..], &["web-1"], &["web-1", "web-2", "web-3"], &["web-4"], &[]] {
        world.change_checked(port, endpoints)?;
        for node in [1, 2] {
            let pods = &world.lab.node(node).pods;
            let here = pods.iter().filter(|pod| endpoints.contains(&pod.name.as_str())).count();
            world.hears(node, at, here).with_context(|| format!("{endpoints:?}"))?;
        }
    }
    // What a load balancer then sends there is the Service's.
    world.change_checked(port, &["web-1"])?;
    world.hears(1, at, 1)?;
    let dst = SERVICE.at(world.lab.node(1), family);
    let answer = world.lab.external().netns().run(|| http::who(dst))?;
    ensure!(answer.name == "web-1", "{} answered at {dst}", answer.name);
    Ok(())
}

/// The Service has one family, and its load balancer asks by the other.
fn both_families(world: &mut World, family: Family) -> Result<()> {
    let port = format!("healthCheckNodePort: {FIRST}");
    let spec = ["externalTrafficPolicy: Local", &port];
    let families = [if family == Family::V4 { Family::V6 } else { Family::V4 }];
    let fields = Fields { spec: &spec, families: &families, ..fields(&["web-1", "web-2"]) };
    let _published = SERVICE.publish(world, fields)?;
    world.hears(1, (family, FIRST), 2)?;
    world.hears(2, (family, FIRST), 0)
}

fn moves(world: &mut World, family: Family) -> Result<()> {
    let [old, new] = [FIRST, FIRST + 1].map(|port| (family, port));
    let published = world.publish_checked(old.1, &["web-1"])?;
    world.hears(1, old, 1)?;
    world.change_checked(new.1, &["web-1"])?;
    world.hears(1, new, 1)?;
    world.hears_nothing(1, old)?;
    SERVICE.change(world, fields(&["web-1"])).context("policy Cluster")?;
    world.hears_nothing(1, new)?;
    world.change_checked(new.1, &["web-1"])?;
    world.hears(1, new, 1)?;
    drop(published);
    world.hears_nothing(1, new)
}

/// Somebody has the port on node 1; the other node's and other ports are not concerned.
fn taken(world: &mut World, family: Family) -> Result<()> {
    let (node, at) = (world.lab.node(1), (family, FIRST + 2));
    let address = node.ip.socket(family, at.1);
    let hold = || node.netns().run(|| TcpListener::bind(address).context("hold the port"));
    // The other family's Service may be about to go.
    let holder = wait_for("the port to be free", SOON, || hold().ok())?;
    let _published = world.publish_checked(at.1, &["web-1", "web-3"])?;
    world.hears(2, at, 1)?;
    let named =
        format!("Service default/{}, spec.healthCheckNodePort: not answered at", SERVICE.name);
    wait_for("the agent to name the port", SOON, || {
        let log = node.agent_log(40);
        let about = |line: &str| line.contains(&named) && line.contains(&at.1.to_string());
        log.lines().any(about).then_some(())
    })?;
    // The Service itself is served all the same.
    let dst = SERVICE.at(node, family);
    let answer = world.lab.external().netns().run(|| http::who(dst))?;
    ensure!(answer.name == "web-1", "{} answered at {dst}", answer.name);
    drop(holder);
    world.hears(1, at, 1)
}

/// Where NodePorts answer at some addresses only, health checks do.
fn addresses(world: &mut World, family: Family) -> Result<()> {
    world.restart_agent(1, &["--nodeport-addresses", "all"])?;
    let followed = follow_addresses(world, family);
    world.restart_agent(1, &[])?;
    followed
}

fn follow_addresses(world: &World, family: Family) -> Result<()> {
    let at = (family, FIRST + 3);
    let _published = world.publish_checked(at.1, &["web-1"])?;
    world.hears(1, at, 1)?;
    let (node, lan): (&Node, _) = (world.lab.node(1), world.lab.on_lan().netns());
    is_closed(node.netns(), SocketAddr::new(loopback(family), at.1)).context("loopback")?;
    let lent = Lent::to(world, node, family)?;
    let server = SocketAddr::new(lent.ip, at.1);
    lent.set("add")?;
    hears(lan, server, 1)?;
    lent.set("del")?;
    // Its own address answers on.
    world.hears(1, at, 1)
}

/// By kube-proxy's metric: Services whose endpoints are all elsewhere, though their policy is Local.
fn counted(world: &mut World) -> Result<()> {
    let spec = ["externalTrafficPolicy: Local", "internalTrafficPolicy: Local"];
    let fields = |endpoints| Fields { spec: &spec, endpoints, ..Fields::default() };
    let count = |policy| {
        let labels = [("traffic_policy", policy)];
        let name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
        world.lab.node(1).metrics()?.one(name, &labels)
    };
    let both = || Ok::<_, anyhow::Error>([count("internal")?, count("external")?]);
    let _published = SERVICE.publish(world, fields(&["web-1", "web-3"]))?;
    let before = both()?;
    SERVICE.change(world, fields(&["web-3"]))?;
    let wanted = before.map(|count| count + 1.0);
    let now = both()?;
    ensure!(now == wanted, "{now:?} instead of {wanted:?}");
    SERVICE.change(world, fields(&["web-1", "web-3"]))?;
    let now = both()?;
    ensure!(now == before, "{now:?} instead of {before:?}");
    Ok(())
}
