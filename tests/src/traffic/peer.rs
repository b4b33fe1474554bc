//! What a process learns of its peer: whom its sockets say that they talk to.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{block_on, http::Connection, udp};

/// How to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum How {
    /// HTTP, a connection for each question.
    Tcp,
    /// UDP, a connected socket for each question.
    Udp,
    /// UDP, one socket for all questions, which is not connected.
    Datagram,
}

impl How {
    /// All.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Datagram];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Datagram => "datagram",
        }
    }
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The server's name.
    pub name: String,
    /// The peer by the socket's own word: getpeername(2) and, of datagrams, recvfrom(2).
    pub peer: SocketAddr,
    /// The client as an HTTP server sees it.
    pub client: Option<SocketAddr>,
}

/// Asks each of `targets`, one after the other, with a pause in between. Waits this long for each
/// answer.
///
/// # Errors
/// An answer is missing or wrong; the message holds the kernel's error.
pub fn ask(
    how: How,
    targets: &[SocketAddr],
    pause: Duration,
    patience: Duration,
) -> Result<Vec<Told>> {
    let socket = targets.first().map_or(Ok(None), |first| bind(*first, patience).map(Some))?;
    let numbered = targets.iter().zip(1..);
    numbered
        .map(|(dst, number)| {
            thread::sleep(pause);
            let told = match (how, &socket) {
                (How::Tcp, _) => block_on(tcp(*dst, patience)),
                (How::Datagram, Some(socket)) => datagram(socket, *dst, number),
                _ => udp(*dst, patience),
            };
            told.with_context(|| format!("{} to {dst}", how.name()))
        })
        .collect()
}

async fn tcp(dst: SocketAddr, patience: Duration) -> Result<Told> {
    let opened = timeout(patience, Connection::open(dst, None)).await;
    let mut connection = opened.context("connect: no answer")??;
    let answer = connection.who().await?;
    Ok(Told { name: answer.name, peer: connection.peer(), client: Some(answer.client) })
}

fn udp(dst: SocketAddr, patience: Duration) -> Result<Told> {
    let socket = bind(dst, patience)?;
    socket.connect(dst).context("UDP connect")?;
    let peer = socket.peer_addr().context("peer's address")?;
    let send = |question: &[u8]| socket.send(question);
    let told = exchange(&socket, send, 1)?;
    ensure!(told.peer == peer, "connected to {peer}, {} answered", told.peer);
    Ok(told)
}

fn datagram(socket: &UdpSocket, dst: SocketAddr, number: u64) -> Result<Told> {
    exchange(socket, |question| socket.send_to(question, dst), number)
}

/// Sends a question and receives its answer, with the address that it came from.
fn exchange(
    socket: &UdpSocket,
    send: impl Fn(&[u8]) -> io::Result<usize>,
    number: u64,
) -> Result<Told> {
    let mut buffer = [0; 2_048];
    send(&udp::question(number, udp::SMALLEST)).context("UDP send")?;
    let (length, peer) = socket.recv_from(&mut buffer).context("UDP answer")?;
    let (answered, name) = udp::check(&buffer[..length])?;
    ensure!(answered == number, "an answer to question {answered}");
    Ok(Told { name, peer, client: None })
}

fn bind(towards: SocketAddr, patience: Duration) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(udp::any(towards)).context("UDP bind")?;
    socket.set_read_timeout(Some(patience)).context("SO_RCVTIMEO")?;
    Ok(socket)
}
