//! A client's end of an association.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{chunks, data, init, number, sack, socket::Raw};
use crate::{
    packet::sctp::{chunk, kind},
    traffic::http::Answer,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open association.
pub struct Association {
    raw: Raw,
    peer: SocketAddr,
    /// The peer's tag.
    tag: u32,
    /// Number of the next message.
    next: u32,
}

impl Association {
    /// Opens one from `local` to `peer`.
    ///
    /// # Errors
    /// The peer refuses it, does not answer, or answers wrongly.
    pub fn open(local: SocketAddr, peer: SocketAddr) -> Result<Self> {
        let raw = Raw::bind(local)?;
        raw.connect(peer.ip())?;
        let mut this = Self { raw, peer, tag: 0, next: 1 };
        let own = u32::from(local.port()) << 8 | 1;
        let answer = this.ask(&init(kind::INIT, own, &[]), kind::INIT_ACK)?;
        this.tag = number(&answer).context("INIT ACK without a tag")?;
        // Behind the fixed fields and the parameter's own header.
        let returned = answer.get(20..).context("INIT ACK without a cookie")?;
        this.ask(&chunk(kind::COOKIE_ECHO, 0, returned), kind::COOKIE_ACK)?;
        Ok(this)
    }

    /// A packet in the middle of an association that nobody has opened; what it is answered with.
    ///
    /// # Errors
    /// There is no answer.
    pub fn pretend(local: SocketAddr, peer: SocketAddr, tag: u32) -> Result<u8> {
        let raw = Raw::bind(local)?;
        raw.connect(peer.ip())?;
        let this = Self { raw, peer, tag, next: 1 };
        this.raw.send(peer, tag, &data(1, b"data"))?;
        let (kind, answered) = this.next_chunk(|_, _| true)?;
        match answered == tag {
            true => Ok(kind),
            false => bail!("the tag is {answered:#x}, not {tag:#x}"),
        }
    }

    /// Sends a message; who answers, and whom it saw.
    ///
    /// # Errors
    /// There is no answer, or a wrong one.
    pub fn who(&mut self) -> Result<Answer> {
        let number = self.next;
        self.next += 1;
        let answer = self.ask(&data(number, b"who"), kind::DATA)?;
        self.raw.send(self.peer, self.tag, &sack(number))?;
        let message = answer.get(12..).context("DATA without a message")?;
        serde_json::from_slice(message).context("answer to a message")
    }

    /// Closes it in good order.
    ///
    /// # Errors
    /// The peer does not agree.
    pub fn shut_down(self) -> Result<()> {
        let last = (self.next - 1).to_be_bytes();
        self.ask(&chunk(kind::SHUTDOWN, 0, &last), kind::SHUTDOWN_ACK)?;
        self.raw.send(self.peer, self.tag, &chunk(kind::SHUTDOWN_COMPLETE, 0, &[]))
    }

    /// Sends chunks and waits for one of a kind; its value.
    fn ask(&self, question: &[u8], answer: u8) -> Result<Vec<u8>> {
        self.raw.send(self.peer, self.tag, question)?;
        let mut value = Vec::new();
        let (kind, _) = self.next_chunk(|kind, found| {
            value = found.to_vec();
            kind == answer || kind == kind::ABORT
        })?;
        match kind == answer {
            true => Ok(value),
            false => bail!("{} has aborted the association", self.peer),
        }
    }

    /// The first chunk of the peer's that `take` takes: its type, and the packet's tag.
    fn next_chunk(&self, mut take: impl FnMut(u8, &[u8]) -> bool) -> Result<(u8, u32)> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(received) = self.raw.receive()? else { continue };
            if received.from != self.peer {
                continue;
            }
            let found =
                chunks(&received.packet).into_iter().find(|(kind, value)| take(*kind, value));
            if let Some((kind, _)) = found {
                return Ok((kind, received.common.tag));
            }
        }
        bail!("no SCTP answer of {} in {PATIENCE:?}", self.peer)
    }
}
