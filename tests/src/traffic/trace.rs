//! The way to a service, hop by hop: probes that live a little longer each time.

use std::{
    io::{ErrorKind, Read as _},
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::udp;

/// More hops than any way in the lab has.
const MOST_HOPS: u8 = 8;
/// How long a hop may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the probe's own socket goes unlooked at.
const GLANCE: Duration = Duration::from_millis(10);

/// What probes are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A datagram that the lab's server answers.
    Datagram,
    /// A SYN.
    Syn,
}

/// The routers on the way to `dst`, in order, up to where it answers. Each must quote the probe as
/// it was sent.
///
/// # Errors
/// A hop is silent, or `dst` does not answer.
pub fn route(dst: SocketAddr, probe: Probe) -> Result<Vec<IpAddr>> {
    let errors = errors(dst)?;
    let mut hops = Vec::new();
    for ttl in 1..=MOST_HOPS {
        match hop(&errors, dst, probe, ttl).with_context(|| format!("{ttl} hops to {dst}"))? {
            Some(router) => hops.push(router),
            None => return Ok(hops),
        }
    }
    bail!("{dst} is not reached in {MOST_HOPS} hops: {hops:?}")
}

/// Where ICMP messages come in.
fn errors(dst: SocketAddr) -> Result<UdpSocket> {
    let protocol = if dst.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let socket = Socket::new(Domain::for_address(dst), Type::RAW, Some(protocol));
    let socket = socket.context("raw socket")?;
    socket.set_read_timeout(Some(GLANCE)).context("SO_RCVTIMEO")?;
    // The standard library's calls serve any socket of datagrams.
    Ok(socket.into())
}

/// The router that ends a probe, or none if it arrives.
fn hop(errors: &UdpSocket, dst: SocketAddr, probe: Probe, ttl: u8) -> Result<Option<IpAddr>> {
    let sent = send(dst, probe, ttl)?;
    let own = sent.local_addr()?.as_socket().context("a socket's own address")?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some((from, message)) = receive(errors)?
            && is_about(&message, own, dst)
        {
            ensure!(is_time_exceeded(&message, dst), "{from} says {:?}", &message[..2]);
            return Ok(Some(from));
        }
        if is_answered(&sent, probe) {
            return Ok(None);
        }
    }
    bail!("no answer")
}

fn send(dst: SocketAddr, probe: Probe, ttl: u8) -> Result<Socket> {
    let kind = if probe == Probe::Datagram { Type::DGRAM } else { Type::STREAM };
    let socket = Socket::new(Domain::for_address(dst), kind, None).context("socket")?;
    if dst.is_ipv4() {
        socket.set_ttl_v4(ttl.into()).context("IP_TTL")?;
    } else {
        socket.set_unicast_hops_v6(ttl.into()).context("IPV6_UNICAST_HOPS")?;
    }
    socket.set_nonblocking(true).context("O_NONBLOCK")?;
    match socket.connect(&dst.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        connected => connected.with_context(|| format!("connect to {dst}"))?,
    }
    if probe == Probe::Datagram {
        socket.send(&udp::question(1, udp::SMALLEST)).context("send")?;
    }
    Ok(socket)
}

/// The next message and who sent it, from its ICMP header on; none for a while of silence.
fn receive(errors: &UdpSocket) -> Result<Option<(IpAddr, Vec<u8>)>> {
    let mut buffer = [0; 2_048];
    match errors.recv_from(&mut buffer) {
        Ok((length, from)) => {
            // Of IPv4, a raw socket hands over the IP header, too.
            let header = if from.is_ipv4() { usize::from(buffer[0] & 0x0f) * 4 } else { 0 };
            let message = buffer.get(header..length).unwrap_or_default();
            Ok(Some((from.ip(), message.to_vec())))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).context("ICMP message"),
    }
}

/// Whether a message quotes what `own` has sent to `dst`, at the least its ends.
fn is_about(message: &[u8], own: SocketAddr, dst: SocketAddr) -> bool {
    let quote = message.get(8..).unwrap_or_default();
    let (addresses, header) = match dst {
        SocketAddr::V4(_) => (12, usize::from(quote.first().map_or(0, |byte| byte & 0x0f)) * 4),
        SocketAddr::V6(_) => (8, 40),
    };
    let bytes = [own, dst].map(|end| match end.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    let ports = [own.port().to_be_bytes(), dst.port().to_be_bytes()].concat();
    let has = |at: usize, bytes: &[u8]| quote.get(at..at + bytes.len()) == Some(bytes);
    has(addresses, &bytes.concat()) && has(header, &ports)
}

fn is_time_exceeded(message: &[u8], dst: SocketAddr) -> bool {
    message.first() == Some(if dst.is_ipv4() { &11 } else { &3 })
}

/// Whether the probe has arrived: the server has answered, or the connection is there.
fn is_answered(mut sent: &Socket, probe: Probe) -> bool {
    match probe {
        Probe::Datagram => sent.read(&mut [0; udp::SMALLEST]).is_ok(),
        Probe::Syn => sent.peer_addr().is_ok(),
    }
}
