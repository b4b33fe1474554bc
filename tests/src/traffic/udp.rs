//! The UDP client: a connected socket, so that only the address that was asked can answer.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// How long an answer may take before the question counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The smallest question: what the server's name replaces, and a number.
pub const SMALLEST: usize = 72;

/// What a socket towards `dst` is bound to that may have any address and port of its own.
pub fn any(dst: SocketAddr) -> SocketAddr {
    match dst {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// A socket from any address and port of its own that talks to `dst` alone, and waits so long for
/// an answer.
///
/// # Errors
/// The kernel makes no such socket.
pub fn connect(dst: SocketAddr, patience: Duration) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(any(dst))?;
    socket.connect(dst)?;
    socket.set_read_timeout(Some(patience))?;
    Ok(socket)
}

/// A socket that talks to one address.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    next: u64,
    patience: Duration,
}

impl Client {
    /// A socket towards `dst`, from `source` if given (its port may be 0).
    ///
    /// # Errors
    /// The source is taken, or there is no route.
    pub fn new(dst: SocketAddr, source: Option<SocketAddr>) -> Result<Self> {
        let source = source.unwrap_or_else(|| any(dst));
        let socket = UdpSocket::bind(source).with_context(|| format!("UDP bind to {source}"))?;
        socket.connect(dst).with_context(|| format!("UDP connect to {dst}"))?;
        Ok(Self { socket, next: 1, patience: PATIENCE })
    }

    /// Waits this long for an answer, instead of [`PATIENCE`].
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The socket's own address.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local(&self) -> Result<SocketAddr> {
        self.socket.local_addr().context("own address")
    }

    /// Sends a question of `size` bytes (at least [`SMALLEST`]); its number.
    ///
    /// # Errors
    /// The kernel refuses to send it.
    pub fn send(&mut self, size: usize) -> Result<u64> {
        let number = self.next;
        self.next += 1;
        let question = question(number, size);
        self.socket.send(&question).with_context(|| format!("UDP send of {size} bytes"))?;
        Ok(number)
    }

    /// Receives one answer, checks it byte for byte: the question's number and the server's name.
    ///
    /// # Errors
    /// Nothing comes in time, a port is unreachable, or the answer is not right.
    pub fn receive(&self) -> Result<(u64, String)> {
        self.socket.set_read_timeout(Some(self.patience)).context("SO_RCVTIMEO")?;
        let mut buffer = vec![0; 65_536];
        let length = match self.socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("no UDP answer"),
            Err(error) => return Err(error).context("UDP answer"),
        };
        check(&buffer[..length])
    }

    /// One question and its answer: the server's name.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::receive`]; an answer to another question.
    pub fn ask(&mut self, size: usize) -> Result<String> {
        let number = self.send(size)?;
        let deadline = Instant::now() + self.patience;
        loop {
            let (answered, name) = self.receive()?;
            if answered == number {
                return Ok(name);
            }
            // A late answer to a question that was given up.
            ensure!(Instant::now() < deadline, "no UDP answer to the last question");
        }
    }
}

/// One question on a socket of its own: the server's name.
///
/// # Errors
/// As [`Client::ask`].
pub fn who(dst: SocketAddr) -> Result<String> {
    let ask = || Client::new(dst, None)?.ask(SMALLEST);
    ask().with_context(|| format!("UDP to {dst}"))
}

/// Asks all of `targets` from one unconnected socket, in turn and again after each new one; each
/// answer must come from the address that was asked.
///
/// # Errors
/// The source is taken, or an answer is missing, wrong or from elsewhere.
pub fn in_turn(source: SocketAddr, targets: &[SocketAddr]) -> Result<()> {
    let socket = UdpSocket::bind(source).with_context(|| format!("UDP bind to {source}"))?;
    socket.set_read_timeout(Some(PATIENCE)).context("SO_RCVTIMEO")?;
    let mut buffer = [0; 2_048];
    for known in 1..=targets.len() {
        for (i, dst) in targets[..known].iter().enumerate() {
            let number = (known * targets.len() + i) as u64;
            socket.send_to(&question(number, SMALLEST), dst).context("UDP send")?;
            let (length, from) =
                socket.recv_from(&mut buffer).with_context(|| format!("UDP answer of {dst}"))?;
            let (answered, _) = check(&buffer[..length])?;
            ensure!(answered == number && from == *dst, "asked {dst}, {from} answered");
        }
    }
    Ok(())
}

/// `size` bytes, the last eight the number.
pub(super) fn question(number: u64, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size.max(SMALLEST) - 8).map(|i| (i % 251) as u8).collect();
    bytes.extend(number.to_be_bytes());
    bytes
}

/// The number and the server's name of an answer that is a question's, byte for byte.
pub(super) fn check(answer: &[u8]) -> Result<(u64, String)> {
    let end = answer.iter().position(|byte| *byte == 0).context("no name in the UDP answer")?;
    let number = answer.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default();
    let expected = question(number, answer.len());
    ensure!(answer[end + 1..] == expected[end + 1..], "the UDP answer is not the question");
    Ok((number, String::from_utf8_lossy(&answer[..end]).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_checked_byte_for_byte() {
        let mut answer = question(7, 100);
        answer[..4].copy_from_slice(b"web\0");
        assert_eq!(check(&answer).unwrap(), (7, "web".to_owned()));
        answer[50] ^= 1;
        assert!(check(&answer).is_err());
    }
}
