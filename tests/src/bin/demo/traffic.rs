//! Traffic to every kind of service.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use svclb_tests::{
    lab::{Dual, Family, Netns},
    traffic::{load::Load, report::Report},
};

use crate::{screen::Screen, stage::Stage};

/// How many connections each question of the demo opens.
const CONNECTIONS: u64 = 400;

/// The examples' addresses.
pub(crate) mod address {
    use super::*;

    /// The ClusterIPs of `shop`.
    pub(crate) const SHOP: (&str, &str) = ("10.96.0.20", "fd00:10:96::20");
    /// The ClusterIPs of `dns`.
    pub(crate) const DNS: (&str, &str) = ("10.96.0.10", "fd00:10:96::10");
    /// The NodePort of `gateway`.
    pub(crate) const GATEWAY: u16 = 30_080;

    /// A ClusterIP with a port.
    pub(crate) fn socket(ips: (&str, &str), family: Family, port: u16) -> Result<SocketAddr> {
        let ip = if family == Family::V4 { ips.0 } else { ips.1 };
        Ok((ip.parse::<IpAddr>()?, port).into())
    }
}

/// Asks every kind of service in both families and prints who answered. Returns how many requests
/// failed.
///
/// # Errors
/// A load cannot be generated.
pub(crate) fn run(screen: &Screen, stage: &Stage) -> Result<u64> {
    screen.heading("Traffic: who answers?");
    let (outside, pod) = (stage.lab.external().netns(), stage.client_pod()?);
    let mut failed = 0;
    for family in Family::BOTH {
        let node = |number: u8| -> Dual { stage.lab.node(number).ip };
        let asked = [
            ("client outside", outside, node(1).socket(family, address::GATEWAY), false),
            ("client outside", outside, node(2).socket(family, address::GATEWAY), false),
            ("pod on node1", pod, address::socket(address::SHOP, family, 80)?, false),
            ("pod on node1", pod, address::socket(address::DNS, family, 53)?, true),
        ];
        for (who, netns, dst, udp) in asked {
            let report = ask(netns, dst, udp)?;
            screen.line(row(who, dst, udp, &report));
            failed += report.failures();
        }
    }
    Ok(failed)
}

fn ask(netns: &Netns, dst: SocketAddr, udp: bool) -> Result<Report> {
    let load = Load { udp, ..Load::http(dst, CONNECTIONS) };
    netns.run(|| load.run())
}

fn row(who: &str, dst: SocketAddr, udp: bool, report: &Report) -> String {
    let protocol = if udp { "UDP " } else { "HTTP" };
    let pods: Vec<_> = report.by_pod.iter().map(|(pod, n)| format!("{pod} {n}")).collect();
    let (pods, failed) = (pods.join(", "), report.failures());
    format!("{who:<14} -> {protocol} {:<25} {pods:<49}{failed} failed", dst.to_string())
}
