//! What routers and hosts report: of the packets on their way, and of the paths.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context, Result, ensure};
use svclb_tests::{
    lab::{Family, address},
    packet::Packet,
    traffic::{
        trace::{self, Probe},
        udp,
    },
};

use crate::{
    client::Asker,
    custom::{Custom, Fields},
    expect::{asked, refuses},
    odd::{Way, arrival},
    reach::transfer,
    scenario::Scenario,
    services::{FAR, NEAR},
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("closed_port_of_an_endpoint_is_told", closed_port),
    Scenario::per_family("error_of_a_client_reaches_the_endpoint", error_of_a_client),
    Scenario::per_family("refusal_of_a_router_is_told", refusal).few(),
    Scenario::per_family("traceroute_shows_the_hops", traceroute).few(),
    Scenario::per_family("path_mtu_towards_clients_is_found", mtu_towards_clients).few(),
    Scenario::per_family("path_mtu_between_nodes_is_found", mtu_between_nodes).few(),
];

/// A service whose endpoints have nobody at its port.
const CLOSED: Custom = Custom::new("closed", 60);
/// The port where nobody is.
const NOBODY: u16 = 4712;
/// So much goes each way through a narrow path.
const LENGTH: u64 = 10_000_000;

/// The endpoint's kernel says "port unreachable", and resets.
fn closed_port(world: &mut World, family: Family) -> Result<()> {
    for endpoint in ["web-1", "web-3"] {
        let fields = Fields { endpoints: &[endpoint], ..Fields::default() };
        let published = CLOSED.publish(world, fields)?;
        CLOSED.change_text(world, fields, |text| {
            text.replace(&format!("port: {PORT}"), &format!("port: {NOBODY}"))
        })?;
        let context = || format!("endpoint {endpoint}");
        let pod = world.asker("web-2")?.netns;
        translated(world, || refuses(pod, CLOSED.cluster(family))).with_context(context)?;
        for client in world.outsiders() {
            let dst = CLOSED.at(world.lab.node(1), family);
            translated(world, || refuses(client.netns, dst)).with_context(context)?;
        }
        drop(published);
    }
    Ok(())
}

/// Node 1 has translated errors meanwhile.
fn translated(world: &World, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let count = || world.lab.node(1).outcome("error_translated");
    let before = count()?;
    meanwhile()?;
    ensure!(count()? > before, "no error was translated");
    Ok(())
}

/// A pod that no longer listens says so to a near endpoint and to a far one. Neither side's request has
/// met connection tracking where both are on one bridge.
fn error_of_a_client(world: &mut World, family: Family) -> Result<()> {
    for (service, endpoint) in [(NEAR, "web-1"), (FAR, "web-3")] {
        let (client, server) =
            (Way::open(world, "web-2", family)?, Way::open(world, endpoint, family)?);
        let dst = service.cluster(family);
        let (source, answers) = (client.asker.fresh_source(dst), server.asker.own(dst));
        client.asker.netns.run(|| udp::Client::new(dst, Some(source))?.ask(udp::SMALLEST))?;
        let mark = format!("answer to {source}");
        let about = |src| Packet::udp(src, source).payload(mark.as_bytes()).build();
        let (kind, code) = if dst.is_ipv4() { (3, 3) } else { (1, 4) };
        let error = Packet::icmp(source.ip(), dst.ip(), kind, code).payload(&about(dst));
        client.send(&error)?;
        let seen = arrival(&server.wire, &mark)?;
        ensure!((seen.src.ip(), seen.dst.ip()) == (source.ip(), answers), "it arrived as {seen}");
        let quote = about((answers, PORT).into());
        ensure!(
            seen.payload.ends_with(&quote),
            "it quotes {:02x?}, not {quote:02x?}",
            seen.payload
        );
    }
    Ok(())
}

/// Node 2 does not let packets through to its pod: "communication administratively prohibited".
fn refusal(world: &mut World, family: Family) -> Result<()> {
    let node = world.lab.node(2).netns();
    let pod = world.pod("web-3")?.ip;
    let rules = node.nft_table(
        "inet prohibited",
        &format!(
            "chain forward {{\n\
               type filter hook forward priority -1;\n\
               ip daddr {} reject with icmp type admin-prohibited\n\
               ip6 daddr {} reject with icmpv6 type admin-prohibited\n\
             }}\n",
            pod.v4, pod.v6
        ),
    )?;
    let told = match family {
        Family::V4 => ErrorKind::HostUnreachable,
        Family::V6 => ErrorKind::PermissionDenied,
    };
    let is_told = |asker: Asker<'_>, dst| {
        let all = asked(asker.netns, dst)?;
        for (protocol, asked) in all {
            let error = asked.err().with_context(|| format!("{protocol}: somebody answers"))?;
            ensure!(error.kind() == told, "{} asks {dst}, {protocol}: {error}", asker.name);
        }
        Ok(())
    };
    let pod = world.asker("web-1")?;
    translated(world, || is_told(pod, FAR.cluster(family)))?;
    for client in world.outsiders() {
        translated(world, || is_told(client, FAR.at(world.lab.node(1), family)))?;
    }
    drop(rules);
    Ok(())
}

/// Each router on the way answers in its own name, and quotes what the client has sent.
fn traceroute(world: &mut World, family: Family) -> Result<()> {
    let (near, far) = (world.lab.node(1), world.lab.node(2));
    let router = address::external_router().ip(family);
    let [client, _] = world.outsiders();
    let own = |n: u8| {
        let node = world.lab.node(n).ip;
        [node, address::pod(n, 0), address::pod_gateway(n)].map(|dual| dual.ip(family))
    };
    for probe in [Probe::Datagram, Probe::Syn] {
        let hops = |dst: SocketAddr| {
            let hops = client.netns.run(|| trace::route(dst, probe));
            hops.with_context(|| format!("{probe:?} to {dst}"))
        };
        let through = |hops: &[IpAddr], nodes: &[u8]| {
            let all = hops.len() == nodes.len() + 1 && hops[0] == router;
            let each = nodes.iter().zip(hops.iter().skip(1));
            ensure!(all && each.clone().all(|(n, hop)| own(*n).contains(hop)), "{hops:?}");
            Ok(())
        };
        through(&hops(NEAR.at(near, family))?, &[1])?;
        through(&hops(FAR.at(near, family))?, &[1, 2])?;
        through(&hops(FAR.at(far, family))?, &[2])?;
    }
    Ok(())
}

/// 10 MB each way between outside clients and near and far endpoints.
fn mtu_towards_clients(world: &mut World, family: Family) -> Result<()> {
    let narrow = world.lab.narrow_to_clients()?;
    let [client, _] = world.outsiders();
    let ways = [NEAR, FAR].map(|service| (client, service.at(world.lab.node(1), family)));
    find_out(world, &ways)?;
    drop(narrow);
    Ok(())
}

/// 10 MB each way between clients of node 1 and an endpoint of node 2.
fn mtu_between_nodes(world: &mut World, family: Family) -> Result<()> {
    let narrow = world.lab.narrow_between_nodes()?;
    let [_, client] = world.outsiders();
    let ways =
        [(world.asker("web-1")?, FAR.cluster(family)), (client, FAR.at(world.lab.node(1), family))];
    find_out(world, &ways)?;
    drop(narrow);
    Ok(())
}

/// Everybody learns of the path anew on each way. (A client that knows it says so in its first
/// segment.)
fn find_out(world: &World, ways: &[(Asker<'_>, SocketAddr)]) -> Result<()> {
    ways.iter().try_for_each(|(asker, dst)| {
        world.lab.forget_path_mtus()?;
        translated(world, || transfer(*asker, *dst, LENGTH))
    })
}
