//! What must come of asking: nothing at all, or answers of some and no others.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use svclb_tests::{
    lab::{Netns, Node},
    traffic::{PATIENCE, load::Load, peer::How},
};

/// How long nobody answers before it counts as silence. (What comes, comes in a millisecond.)
const SILENCE: Duration = Duration::from_millis(300);

/// A refusal of a process of the node comes from its own kernel, without a packet.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Neither an answer nor a refusal comes to somebody in `netns` who asks `dst` by TCP and UDP.
pub(crate) fn hangs(netns: &Netns, dst: SocketAddr) -> Result<()> {
    let asked = netns.run(|| Ok([silence(tcp(dst, SILENCE)), silence(udp(dst, SILENCE))]))?;
    let [tcp, udp] = asked.map(|asked| asked.with_context(|| format!("asked {dst}")));
    tcp.context("TCP").and(udp.context("UDP"))
}

fn tcp(dst: SocketAddr, patience: Duration) -> std::io::Result<()> {
    TcpStream::connect_timeout(&dst, patience).map(drop)
}

fn udp(dst: SocketAddr, patience: Duration) -> std::io::Result<()> {
    let any: SocketAddr = match dst {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(dst)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(b"anybody?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

fn silence(asked: std::io::Result<()>) -> Result<()> {
    match asked {
        Ok(()) => bail!("somebody answers"),
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Ok(()),
        Err(error) => bail!("{error}"),
    }
}

/// The same for a process of the node itself.
pub(crate) fn host_hangs(node: &Node, dst: SocketAddr) -> Result<()> {
    process_hangs(node, node.netns(), dst)
}

/// The same for a process in the node's control group and in `netns`.
pub(crate) fn process_hangs(node: &Node, netns: &Netns, dst: SocketAddr) -> Result<()> {
    let (dst, patience) = (dst.to_string(), SILENCE.as_millis().to_string());
    for how in How::ALL {
        let arguments = ["ask", how.name(), "--patience", &patience, &dst];
        let asked = node.lab_tool(netns, &arguments).map_err(|error| format!("{error:#}"));
        let told = asked.err().with_context(|| format!("somebody answers {}", how.name()))?;
        let silent = told.contains("no answer") || told.contains("temporarily unavailable");
        ensure!(silent, "{} to {dst}: {told}", how.name());
    }
    Ok(())
}

/// Who answers somebody in `netns` in many connections, which miss one of two endpoints once in
/// 2^40 runs.
pub(crate) fn answering(netns: &Netns, dst: SocketAddr) -> Result<BTreeSet<String>> {
    let report = netns.run(|| Load::http(dst, 40).run())?;
    report.must_be_clean().with_context(|| format!("asked {dst}"))?;
    Ok(report.by_pod.into_keys().collect())
}

/// The same for a process of the node itself.
pub(crate) fn answering_host(node: &Node, dst: SocketAddr) -> Result<BTreeSet<String>> {
    answering_process(node, node.netns(), dst)
}

/// The same for a process in the node's control group and in `netns`.
pub(crate) fn answering_process(
    node: &Node,
    netns: &Netns,
    dst: SocketAddr,
) -> Result<BTreeSet<String>> {
    let told = node.ask_from(netns, How::Tcp, &[dst; 40])?;
    for answer in &told {
        ensure!(answer.peer == dst, "the peer is {}", answer.peer);
    }
    Ok(told.into_iter().map(|answer| answer.name).collect())
}

/// The names as a set.
pub(crate) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// What `ask` sends is dropped by the node, for that reason.
pub(crate) fn drops(node: &Node, outcome: &str, ask: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = node.outcome(outcome)?;
    ask()?;
    let counted = node.outcome(outcome)? - before;
    ensure!(counted >= 2, "{counted} of two questions counted as {outcome}");
    Ok(())
}

/// What comes of somebody in `netns` who asks `dst`, by TCP and UDP.
pub(crate) fn asked(
    netns: &Netns,
    dst: SocketAddr,
) -> Result<[(&'static str, std::io::Result<()>); 2]> {
    netns.run(|| Ok([("TCP", tcp(dst, PATIENCE)), ("UDP", udp(dst, PATIENCE))]))
}

/// Somebody in `netns` who asks `dst` is refused at once, by TCP and UDP.
pub(crate) fn refuses(netns: &Netns, dst: SocketAddr) -> Result<()> {
    for (protocol, asked) in asked(netns, dst)? {
        let error = asked.err().with_context(|| format!("somebody answers at {dst}/{protocol}"))?;
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        ensure!(refused, "asked {dst}/{protocol}: {error}");
    }
    Ok(())
}

/// The same for a process of the node itself, whatever way it asks.
pub(crate) fn host_refuses(node: &Node, dst: SocketAddr) -> Result<()> {
    for how in How::ALL {
        let started = Instant::now();
        let asked = node.ask(how, &[dst]).map_err(|error| format!("{error:#}"));
        let told = asked.err().with_context(|| format!("somebody answers at {dst}"))?;
        ensure!(told.contains("Connection refused"), "{} to {dst}: {told}", how.name());
        ensure!(started.elapsed() < AT_ONCE, "refused after {:?}", started.elapsed());
    }
    Ok(())
}
