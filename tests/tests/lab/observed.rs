//! What the agent tells over HTTP, held against what has happened.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use svclb_tests::{
    exposition::Exposition,
    lab::{Agent, Family, METRICS, Reply, SOON, manifests, wait_for},
    traffic::load::Load,
};

use crate::{
    scenario::Scenario,
    services::{CHANGING, WEB},
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::per_family("metrics_count_the_traffic", metrics_count),
    Scenario::once("changes_are_measured", changes_are_measured),
    Scenario::once("health_follows_the_node", health_follows),
    Scenario::once("a_taken_port_ends_the_start", taken_port),
];

/// Where an agent answers health checks, unless it is told otherwise.
const HEALTH_PORT: u16 = 10_256;

/// What a Node says that is about to go: a field, and the line that it comes after.
const LEAVING: [(&str, &str); 2] = [
    ("spec:", "  taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]"),
    ("metadata:", "  deletionTimestamp: \"2026-01-02T03:04:05Z\""),
];

/// Runs `f` with another agent on node 1 than the usual one.
fn with_agent(
    world: &mut World,
    extra: &[&str],
    f: impl FnOnce(&World) -> Result<()>,
) -> Result<()> {
    world.agents.remove(0).terminate()?;
    let other = Agent::start(world.lab.node(1), world.manifests.folder(), extra);
    let result = other.and_then(|agent| {
        f(world)?;
        agent.terminate()
    });
    let usual = world.start_agent(1)?;
    world.agents.insert(0, usual);
    result
}

fn metrics_count(world: &mut World, family: Family) -> Result<()> {
    with_agent(world, &["--metrics-per-service", "backend"], |world| count(world, family))
}

fn count(world: &World, family: Family) -> Result<()> {
    const CONNECTIONS: u32 = 400;
    let node = world.lab.node(1);
    let before = node.metrics()?;
    let load = Load::http(WEB.cluster(family), CONNECTIONS.into());
    let report = world.asker("web-1")?.netns.run(|| load.run())?;
    report.must_be_clean()?;
    let after = node.metrics()?;
    let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
    let web = [("service", "web"), ("port_name", "http"), ("family", name)];
    let grown = |metric: &str, labels: &[(&str, &str)]| {
        let labels = [&web[..], labels].concat();
        after.sum(metric, &labels) - before.sum(metric, &labels)
    };
    let flows = grown("svclb_service_flows_total", &[]);
    ensure!(same(flows, CONNECTIONS.into()), "{flows} flows of {CONNECTIONS}");
    for pod in WEB.endpoints {
        let backend = world.pod(pod)?.ip.socket(family, PORT).to_string();
        let flows = grown("svclb_backend_flows_total", &[("backend", &backend)]);
        let asked = report.by_pod.get(*pod).copied().unwrap_or_default() as f64;
        ensure!(same(flows, asked), "{pod}: {flows} flows of {asked} connections");
    }
    for direction in ["request", "reply"] {
        let of = |metric| grown(metric, &[("direction", direction)]);
        let (packets, bytes) = (of("svclb_service_packets_total"), of("svclb_service_bytes_total"));
        // Each connection has its SYN, its data and its FIN in both directions.
        ensure!(packets >= 3.0 * f64::from(CONNECTIONS), "{packets} packets, {direction}");
        ensure!(bytes >= 40.0 * packets, "{bytes} bytes in {packets} packets, {direction}");
        let by_backend = of("svclb_backend_packets_total");
        ensure!(same(packets, by_backend), "{packets} packets, {by_backend} by endpoint");
    }
    let outcome = |name| {
        let labels = [("outcome", name)];
        Ok(after.one("svclb_outcomes_total", &labels)?
            - before.one("svclb_outcomes_total", &labels)?)
    };
    let opened: Result<f64> = outcome("flow_opened");
    ensure!(opened? >= CONNECTIONS.into(), "flows opened are not counted");
    full(&after)
}

/// What does not depend on the traffic.
fn full(scrape: &Exposition) -> Result<()> {
    let services = scrape.one("svclb_map_entries", &[("map", "services")])?;
    ensure!(services >= 28.0, "{services} of 7 Services with two ports in two families");
    for map in ["frontends4", "backends6", "slots", "devices"] {
        let used = scrape.one("svclb_map_entries", &[("map", map)])?;
        let limit = scrape.one("svclb_map_entries_limit", &[("map", map)])?;
        ensure!(used > 0.0 && used < limit, "{map}: {used} of {limit}");
    }
    let limit = scrape.one("svclb_flows_limit", &[("family", "IPv6")])?;
    ensure!(limit > 0.0, "no room for flows");
    ensure!(scrape.has("svclb_build_info"), "no version");
    Ok(())
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.5
}

fn changes_are_measured(world: &mut World) -> Result<()> {
    let (node, lab) = (world.lab.node(1), &world.lab);
    let before = node.metrics()?;
    ensure!(!before.has("svclb_service_flows_total"), "by service without being asked");
    CHANGING.write_slices(lab, &world.manifests, &["web-2"])?;
    let mut last = Ok(());
    let measured = wait_for("the change to be measured", SOON, || {
        last = node.metrics().and_then(|after| is_measured(&before, &after));
        last.is_ok().then_some(())
    });
    CHANGING.write_slices(lab, &world.manifests, CHANGING.endpoints)?;
    // The last look says what is missing.
    last.and(measured)?;
    let mode = node.get(METRICS, "/proxyMode")?;
    ensure!(mode == (200, "svclb".to_owned()), "/proxyMode: {mode:?}");
    Ok(())
}

/// Changes of two slices have been counted since `before`, and all that were are in the maps. A
/// scrape may come between the two.
fn is_measured(before: &Exposition, after: &Exposition) -> Result<()> {
    const CHANGES: &str = "kubeproxy_sync_proxy_rules_endpoint_changes_total";
    const MEASURED: &str = "svclb_programming_duration_seconds_count";
    // Another scenario's last change may come in between, too.
    let grown = after.one(CHANGES, &[])? - before.one(CHANGES, &[])?;
    ensure!(grown >= 2.0, "{grown} changes, but there are slices of two families");
    ensure!(after.one(MEASURED, &[])? > before.one(MEASURED, &[])?, "the change is not measured");
    let pending = after.one("kubeproxy_sync_proxy_rules_endpoint_changes_pending", &[])?;
    ensure!(same(pending, 0.0), "{pending} changes are pending");
    let (synced, queued) = (
        after.one("kubeproxy_sync_proxy_rules_last_timestamp_seconds", &[])?,
        after.one("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", &[])?,
    );
    ensure!(synced >= queued && queued > 0.0, "synced at {synced}, queued at {queued}");
    Ok(())
}

fn health_follows(world: &mut World) -> Result<()> {
    ensure!(world.lab.node(1).get("127.0.0.1:10256", "/readyz")?.0 == 200, "not ready");
    ensure!(eligible(&healthz(world, 200)?)?, "not eligible");
    LEAVING.iter().try_for_each(|leaving| follows_leaving(world, leaving).context(leaving.1))?;
    let counted = world.lab.node(1).metrics()?;
    let counted = counted.one("kubeproxy_proxy_healthz_total", &[("code", "503")])?;
    ensure!(counted >= 2.0, "{counted} refusals are counted");
    Ok(())
}

/// The node is about to go, and then it is not.
fn follows_leaving(world: &World, (after, field): &(&str, &str)) -> Result<()> {
    let nodes: Vec<_> = world.lab.nodes.iter().map(manifests::node).collect();
    let leaving = nodes[0].replacen(after, &format!("{after}\n{field}"), 1);
    world.manifests.write("nodes", &[leaving, nodes[1].clone()].join("---\n"))?;
    let refused = healthz(world, 503);
    let livez = ask(world, "/livez");
    world.manifests.write("nodes", &nodes.join("---\n"))?;
    ensure!(!eligible(&refused?)?, "eligible");
    let livez = livez?;
    ensure!(livez.status == 200, "/livez: {}", livez.status);
    ensure!(!livez.body.contains("nodeEligible"), "/livez: {}", livez.body);
    healthz(world, 200).map(drop)
}

/// What a load balancer outside is told by node 1.
fn ask(world: &World, path: &str) -> Result<Reply> {
    let server = world.lab.node(1).ip.socket(Family::V6, HEALTH_PORT);
    world.lab.external().netns().get(server, path)
}

/// The body of `/healthz` once it has that status.
fn healthz(world: &World, status: u16) -> Result<String> {
    wait_for(&format!("/healthz to be {status}"), SOON, || {
        let reply = ask(world, "/healthz").ok()?;
        (reply.status == status).then_some(reply.body)
    })
}

fn eligible(body: &str) -> Result<bool> {
    let body: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
    body["nodeEligible"].as_bool().context("no nodeEligible")
}

fn taken_port(world: &mut World) -> Result<()> {
    let address: SocketAddr = "0.0.0.0:10256".parse()?;
    world.agents.remove(0).terminate()?;
    let node = world.lab.node(1);
    let holder = node.netns().run(|| TcpListener::bind(address).context("hold the port"))?;
    let refused = Agent::start(node, world.manifests.folder(), &[]);
    drop(holder);
    let usual = world.start_agent(1)?;
    world.agents.insert(0, usual);
    let message = match refused {
        Ok(_) => anyhow::bail!("two listen at {address}"),
        Err(error) => format!("{error:#}"),
    };
    let expected = format!("--healthz-bind-address: cannot listen at {address}");
    ensure!(message.contains(&expected), "{message}");
    Ok(())
}
