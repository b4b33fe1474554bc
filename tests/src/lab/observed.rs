//! What the agent on a node tells over HTTP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, ensure};

use super::{netns::Netns, node::Node, wait::SOON};
use crate::exposition::Exposition;

/// Where an agent's metrics are, unless it is told otherwise.
pub const METRICS: &str = "127.0.0.1:10249";
/// Where an agent answers health checks, unless it is told otherwise.
pub const HEALTH: &str = "[::1]:10256";

/// What a server has answered, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Netns {
    /// What the server gives for a path.
    ///
    /// # Errors
    /// Nobody listens, or what comes is not HTTP.
    pub fn get(&self, server: SocketAddr, path: &str) -> Result<Reply> {
        let what = || format!("http://{server}{path}");
        let answer = self.run(|| exchange(server, path)).with_context(what)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.context("no status")?;
        Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }
}

impl Node {
    /// The status and body of a path that a server on the node gives.
    ///
    /// # Errors
    /// As [`Netns::get`].
    pub fn get(&self, server: &str, path: &str) -> Result<(u16, String)> {
        let address = server.parse().with_context(|| format!("{server} is no address"))?;
        let reply = self.netns().get(address, path)?;
        Ok((reply.status, reply.body))
    }

    /// The agent's metrics.
    ///
    /// # Errors
    /// As [`Node::get`], and if the text is not as the format wants it.
    pub fn metrics(&self) -> Result<Exposition> {
        let (status, body) = self.get(METRICS, "/metrics")?;
        ensure!(status == 200, "/metrics: {status}: {body}");
        Exposition::parse(&body).context("/metrics")
    }
}

fn exchange(server: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
