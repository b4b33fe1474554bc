//! Echo requests of ICMP and ICMPv6.

use std::{
    io::Read as _,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};
use svclb_common::checksum;

/// Asks `dst` for an echo of `payload` bytes, and waits for it as long as `patience`.
///
/// # Errors
/// There is no answer, or a wrong one.
pub fn ping(dst: IpAddr, payload: usize, patience: Duration) -> Result<()> {
    let (domain, protocol) = match dst {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).context("raw socket")?;
    // The kernel hands over what comes from there alone.
    socket.connect(&SocketAddr::new(dst, 0).into()).with_context(|| format!("connect to {dst}"))?;
    let request = request(dst, payload);
    socket.send(&request).with_context(|| format!("ping {dst}"))?;
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("{dst} has not answered a ping of {payload} bytes in {patience:?}");
        }
        socket.set_read_timeout(Some(left))?;
        if is_reply(dst, &receive(&socket).with_context(|| format!("answer of {dst}"))?, &request) {
            return Ok(());
        }
    }
}

fn receive(mut socket: &Socket) -> Result<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let length = socket.read(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

fn request(dst: IpAddr, payload: usize) -> Vec<u8> {
    let kind = if dst.is_ipv4() { 8 } else { 128 };
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, a, b, 0, 1];
    message.extend((0..payload).map(|i| i as u8));
    if dst.is_ipv4() {
        // (Of ICMPv6, the kernel writes it.)
        let sum = !checksum::fold(checksum::sum(&message));
        message[2..4].copy_from_slice(&sum.to_ne_bytes());
    }
    message
}

/// Whether a message, of IPv4 with its IP header, echoes the request.
fn is_reply(dst: IpAddr, message: &[u8], request: &[u8]) -> bool {
    let (kind, header) = match dst {
        IpAddr::V4(_) => (0, usize::from(message.first().map_or(0, |byte| byte & 0x0f)) * 4),
        IpAddr::V6(_) => (129, 0),
    };
    let Some(icmp) = message.get(header..).filter(|icmp| icmp.len() == request.len()) else {
        return false;
    };
    icmp[..2] == [kind, 0] && icmp[4..] == request[4..]
}
